use super::*;
use proptest::prelude::*;

fn check(blue: Value, green: Value, expect: Order) {
    assert_eq!(blue.compare(&green), expect, "{blue:?} to {green:?}");
}

fn accepts(names: &[&str]) -> Value {
    Value::Accepts(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn each_kind_has_its_order() {
    check(Value::Holds(true), Value::Holds(false), Order::Weaker);
    check(Value::Holds(false), Value::Holds(true), Order::Stronger);
    check(Value::Version(TlsVersion::Tls12), Value::Version(TlsVersion::Tls10), Order::Weaker);
    check(Value::Strength(128), Value::Strength(112), Order::Weaker);
    check(Value::Strength(192), Value::Strength(128), Order::Equal);
    check(Value::Validity(Validity::Valid), Value::Validity(Validity::EndsSoon), Order::Weaker);
    check(accepts(&[]), accepts(&["RC4"]), Order::Weaker);
    check(accepts(&["RC4", "3DES"]), accepts(&["RC4"]), Order::Stronger);
    check(accepts(&["RC4"]), accepts(&["3DES"]), Order::Incomparable);
    check(Value::Holds(true), Value::Strength(128), Order::Incomparable);
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let versions = prop::sample::select(&TlsVersion::ALL[..]);
    let validity = prop::sample::select(&[Validity::Invalid, Validity::EndsSoon, Validity::Valid][..]);
    prop_oneof![
        any::<bool>().prop_map(Value::Holds),
        versions.prop_map(Value::Version),
        prop::collection::btree_set("[ab]", 0..3).prop_map(Value::Accepts),
        (0_u16..300).prop_map(Value::Strength),
        validity.prop_map(Value::Validity),
    ]
}

fn no_safer(order: Order) -> bool {
    matches!(order, Order::Weaker | Order::Equal)
}

proptest! {
    #[test]
    fn it_is_an_order((a, b, c) in (any_value(), any_value(), any_value())) {
        prop_assert_eq!(a.compare(&a), Order::Equal);
        let turned = match a.compare(&b) {
            Order::Stronger => Order::Weaker,
            Order::Weaker => Order::Stronger,
            same @ (Order::Equal | Order::Incomparable) => same,
        };
        prop_assert_eq!(b.compare(&a), turned);
        if no_safer(a.compare(&b)) && no_safer(b.compare(&c)) {
            prop_assert!(no_safer(a.compare(&c)));
        }
    }

    #[test]
    fn the_weaker_of_two_is_no_safer_than_either_and_no_less_safe_than_needed(
        (a, b, c) in (any_value(), any_value(), any_value())
    ) {
        let Some(both) = a.weaker_of(&b) else { return Ok(()) };
        prop_assert!(no_safer(a.compare(&both)) && no_safer(b.compare(&both)));
        if no_safer(a.compare(&c)) && no_safer(b.compare(&c)) {
            prop_assert!(no_safer(both.compare(&c)));
        }
    }

    #[test]
    fn values_come_back_from_json(value in any_value()) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
