use super::*;
use clap::Parser;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

fn options(arguments: &str) -> Result<Options, clap::Error> {
    let words = std::iter::once("bench").chain(arguments.split_ascii_whitespace());
    CommandLine::try_parse_from(words).map(|line| line.options)
}

#[test]
fn by_default_all_are_measured_with_what_they_speak() {
    let options = options("").unwrap();
    assert_eq!((options.secs, options.rounds, options.json), (1.5, 2, false));
    assert_eq!(options.protocols(), Protocol::ALL);
    assert_eq!(options.contenders(Protocol::Grpc), Contender::ALL);
    let http = [Contender::NoProxy, Contender::Rotel, Contender::Envoy, Contender::Ours, Contender::OursSplit];
    assert_eq!(options.contenders(Protocol::Http), http);
    assert!(options.any(Contender::needs_rotel) && options.any(Contender::needs_envoy));
}

#[test]
fn only_some_are_measured_and_no_proxy_in_any_case() {
    let some = options("--only ours-split,envoy-split --protocol grpc --secs 2 --rounds 1 --json").unwrap();
    assert_eq!((some.secs, some.rounds, some.json), (2.0, 1, true));
    assert_eq!(some.protocols(), [Protocol::Grpc]);
    let expected = [Contender::NoProxy, Contender::EnvoySplit, Contender::OursSplit];
    assert_eq!(some.contenders(Protocol::Grpc), expected);
    assert!(some.any(Contender::needs_envoy) && !some.any(Contender::needs_rotel));
    // Over HTTP Envoy's split is not measured, so Envoy is not needed for it.
    let http = options("--only ours-split,envoy-split --protocol http").unwrap();
    assert_eq!(http.contenders(Protocol::Http), [Contender::NoProxy, Contender::OursSplit]);
    assert!(!http.any(Contender::needs_envoy));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let bad = ["--only nginx", "--protocol udp", "--secs 0", "--secs 61", "--secs x", "--rounds 0", "--rounds 21"];
    for arguments in bad {
        assert!(options(arguments).is_err(), "{arguments}");
    }
}

#[test]
fn the_share_that_was_verified_is_of_all_views() {
    let outcome = Outcome { requests: 100, tapped: 200, ..Outcome::default() };
    let check = |missed, comes_out, expected: f64| {
        assert_eq!(share_verified(missed, &outcome, comes_out), expected, "{comes_out:?}");
    };
    check(0, ComesOut::Mirrored, 1.0);
    check(100, ComesOut::Mirrored, 0.75);
    check(100, ComesOut::Split, 0.75);
    check(75, ComesOut::Once, 0.75);
    assert_eq!(share_verified(0, &Outcome::default(), ComesOut::Once), 1.0);
}
