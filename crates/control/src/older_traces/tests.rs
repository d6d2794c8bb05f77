use super::*;
use model::BasisPoints;

const HOUR_MS: u64 = 3_600_000;

fn demand(services: &[&str], since_ms: u64) -> OlderTracesPlan {
    let services = services.iter().map(|service| (*service).to_owned()).collect();
    OlderTracesPlan { services, since_ms, sample: 100, at_least: BasisPoints::ALL, least: 20 }
}

#[test]
fn the_whole_time_is_searched_in_slices_of_each_service_up_to_what_has_settled() {
    let now = UnixMillis(1_790_000_000_000);
    let searches = searches(&demand(&["checkout", "cart"], 24 * HOUR_MS), now);
    assert_eq!(searches.len(), 2 * SLICES as usize);
    let (checkout, cart) = searches.split_at(SLICES as usize);
    for (service, slices) in [("checkout", checkout), ("cart", cart)] {
        assert!(slices.iter().all(|search| search.service == service && search.limit == FOUND_AT_MOST));
        assert_eq!(slices[0].from_ns, (now.0 - 24 * HOUR_MS) * 1_000_000);
        assert_eq!(slices.last().map(|search| search.to_ns), Some((now.0 - YOUNGEST_MS) * 1_000_000));
        assert!(slices.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns && pair[0].from_ns < pair[0].to_ns));
    }
}

#[test]
fn a_time_before_1970_is_none() {
    assert!(searches(&demand(&["a"], u64::MAX), UnixMillis(1)).iter().all(|search| search.to_ns == 0));
}
