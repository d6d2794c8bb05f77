use super::*;
use crate::vocabulary::type_of;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const KEYED: Keyed = Keyed([9; 16]);

fn attributes(values: &[u8]) -> Vec<(String, Vec<u8>)> {
    values.iter().enumerate().map(|(at, value)| (format!("key {at:02}"), vec![0x18, *value])).collect()
}

fn differences(sent: &[(String, Vec<u8>)], out: &[(String, Vec<u8>)]) -> Differences {
    let known: Vec<(Box<str>, u8)> = sent.iter().map(|(key, value)| (key.as_str().into(), type_of(value))).collect();
    let [sent, out] = [sent, out].map(|all| all.iter().map(|(key, value)| (&key[..], &value[..])).collect::<Vec<_>>());
    let meant = Transformations::default();
    let digests = Digests::of(KEYED, &SpanFact { attributes: &sent, ..SpanFact::default() }, &meant);
    digests.compare(Some(&known), KEYED, &SpanFact { attributes: &out, ..SpanFact::default() }, &meant)
}

#[test]
fn a_place_differs_exactly_where_a_value_in_it_does() {
    let values = proptest::collection::vec(any::<u8>(), 0..25);
    let lacking = proptest::option::of(0usize..25);
    let case = |(values, changed, lacking): (Vec<u8>, u32, Option<usize>)| {
        let sent = attributes(&values);
        let mut out = sent.clone();
        for (at, (_, value)) in out.iter_mut().enumerate() {
            value[1] ^= u8::from(changed >> at & 1 == 1);
        }
        // A key that does not come out leaves its place without a say.
        let lacking = lacking.filter(|at| *at < sent.len());
        lacking.map(|at| out.remove(at));
        let found = differences(&sent, &out);
        for place in 0..ATTRIBUTE_PLACES {
            let mut positions = (place..sent.len()).step_by(ATTRIBUTE_PLACES);
            let said = !positions.clone().any(|at| lacking == Some(at));
            prop_assert_eq!(found.attribute(place), said && positions.any(|at| changed >> at & 1 == 1));
        }
        prop_assert!(!found.times() && !found.part(Part::Name));
        Ok(())
    };
    // The same cases each time: of a million changes some hide behind sixteen bits.
    TestRunner::deterministic().run(&(values, any::<u32>(), lacking), case).unwrap();
}
