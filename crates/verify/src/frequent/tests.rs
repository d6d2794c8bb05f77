use super::*;
use crate::subject::RootId;
use crate::vocabulary::Bounds;
use model::MAX_OPERATIONS_PER_OBSERVATION;

struct Shop {
    words: Vocabulary,
    roots: Frequent<RootId>,
}

impl Shop {
    fn new() -> Shop {
        let keyed = Keyed([3; 16]);
        Shop {
            words: Vocabulary::new(keyed, Bounds::FULL),
            roots: Frequent::new(keyed, MAX_OPERATIONS_PER_OBSERVATION),
        }
    }

    fn batch(&mut self, traces: &[(&str, u64)]) {
        let root =
            |words: &mut Vocabulary, name: &str| RootId { service: words.name("shop"), operation: words.name(name) };
        let counted: Vec<_> = traces.iter().map(|(name, traces)| (root(&mut self.words, name), *traces)).collect();
        self.roots.count(counted, &self.words);
    }

    fn chosen(&self) -> Vec<&str> {
        self.roots.chosen().iter().map(|(_, root)| root.operation.as_str()).collect()
    }
}

#[test]
fn what_has_enough_traces_is_chosen_the_most_frequent_first_and_stays() {
    let mut shop = Shop::new();
    shop.batch(&[("a", TRACES_TO_BE_CHOSEN - 1), ("b", TRACES_TO_BE_CHOSEN), ("c", 2 * TRACES_TO_BE_CHOSEN)]);
    assert_eq!(shop.chosen(), ["c", "b"]);
    shop.batch(&[("a", 1)]);
    assert_eq!(shop.chosen(), ["c", "b", "a"]);
    let others: Vec<String> = (0..20).map(|other| format!("other {other}")).collect();
    shop.batch(&others.iter().map(|name| (name.as_str(), 1_000)).collect::<Vec<_>>());
    assert_eq!(shop.chosen().len(), MAX_OPERATIONS_PER_OBSERVATION);
    assert_eq!(shop.chosen()[..4], ["c", "b", "a", "other 0"]);
    shop.batch(&[("late", 1_000_000)]);
    assert!(!shop.chosen().contains(&"late"), "the choice stays");
}

/// Names that are never the same twice must not keep a frequent one out, nor take memory.
#[test]
fn names_without_end_leave_room_for_a_frequent_one() {
    let mut shop = Shop::new();
    for batch in 0..300 {
        let names: Vec<String> = (0..50).map(|id| format!("GET /user/{batch}-{id}")).collect();
        let mut traces: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        traces.push(("GET /cart", 1));
        shop.batch(&traces);
        assert!(shop.roots.counted.len() <= MAX_COUNTED);
    }
    assert_eq!(shop.chosen(), ["GET /cart"]);
}

#[test]
fn names_that_are_written_alike_or_not_kept_are_no_second_operation() {
    let mut shop = Shop::new();
    shop.batch(&[("a\n", 300), ("a\r", 200)]);
    assert_eq!(shop.chosen(), ["a?"]);
    let mut shop = Shop::new();
    shop.words = Vocabulary::new(Keyed([3; 16]), Bounds { names: 1, key_sets: 1, resources: 1 });
    shop.batch(&[("a", 300), ("b", 200)]);
    assert!(shop.chosen().is_empty(), "the name is not known");
}
