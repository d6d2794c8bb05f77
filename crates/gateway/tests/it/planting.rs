//! Requests of our own, beside the traffic.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{EndpointState, EnvironmentStats, Outcome};

#[tokio::test]
async fn what_is_planted_goes_past_everything_that_is_the_traffics() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Http).await);
    // Of two endpoints one can be ejected, of one alone none.
    let spare = Upstream::start(Protocol::Http).await;
    let mut both = table(&blue, Some(&green), 100);
    both.upstreams.green.as_mut().expect("green is there").others = vec![spare.url()];
    let mut fixture = Fixture::start(both).await;
    let ground = fixture.gateway.ground(KEY).expect("green has a weight");
    for environment in Environment::BOTH {
        assert_eq!(ground.plant(environment, trace_id(1), request([(1, 1)])).await, Outcome::TAKEN);
    }
    assert_eq!(blue.seen(), [(Signal::Traces, request([(1, 1)]))]);
    assert_eq!([green.seen(), spare.seen()].concat(), [(Signal::Traces, request([(1, 1)]))]);
    // Nothing else knows of it: no counter, no pin, no view.
    let stats = fixture.stats();
    let nothing = PerEnvironment { blue: EnvironmentStats::default(), green: EnvironmentStats::default() };
    assert_eq!((stats.environments, stats.live_pins, stats.bytes_in_flight), (nothing, 0, 0));
    assert!(fixture.views.try_recv().is_err());
    // An environment that fails is not asked twice, and it is no mark against it.
    for upstream in [&green, &spare] {
        upstream.reply(Reply::Http(503, None, "not now"));
    }
    for _ in 0..20 {
        assert!(matches!(ground.plant(Environment::Green, trace_id(2), request([(2, 1)])).await, Outcome::Refused(_)));
    }
    assert_eq!(green.seen().len() + spare.seen().len(), 21);
    let up = [&green, &spare].map(|upstream| (upstream.url(), EndpointState::Up));
    assert_eq!(fixture.gateway.endpoints().green, up);
    assert_eq!(fixture.stats().environments, nothing);
}

#[tokio::test]
async fn there_is_ground_only_while_the_candidate_of_this_rollout_gets_anything() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    let mut fixture = Fixture::start(table(&blue, None, 0)).await;
    let mut generation = 1;
    let mut has_ground = async |change: &dyn Fn(&mut RouteTable)| {
        generation += 1;
        let mut next = RouteTable { generation, ..table(&blue, Some(&green), 0) };
        change(&mut next);
        assert!(matches!(fixture.publish(next).await, Event::Applied { .. }));
        (fixture.gateway.ground(KEY).is_some(), fixture.gateway.ground(RouteKey([8; 16])).is_some())
    };
    assert_eq!(has_ground(&|_| {}).await, (false, false), "nothing yet");
    assert_eq!(has_ground(&|table| table.mirror = true).await, (true, false), "copies, of this rollout alone");
    assert_eq!(has_ground(&|table| table.weight = BasisPoints::ALL).await, (true, false), "and all");
    assert_eq!(has_ground(&|table| table.pins = Pins::Tear).await, (false, false), "rolled back");
    assert_eq!(has_ground(&|table| table.active = Environment::Green).await, (false, false), "promoted");
}
