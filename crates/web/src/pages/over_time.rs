//! A rollout over time: plots for its page, and blue beside green in numbers.

use super::layout::rollout_path;
use super::plot::{Ink, Line, Plot, Scale, key};
use super::rollout::number;
use super::when;
use control::rollout::{ArmReport, GuardPoint, Progress, Report, ShiftPoint, TimelineReport, WindowReport};
use maud::{Markup, html};
use model::{Environment, UnixMillis};

/// Evidence against its threshold is shown up to so many times it: what decides is near it.
const EVIDENCE_UP_TO: f64 = 3.0;
/// Points of a line of evidence: twelve guards have two lines each, and a page is to stay below 100 kB.
const MAX_EVIDENCE_POINTS: usize = 70;
/// Guards that have a plot: a plan has some ten, and each is some 3 kB.
const MAX_PLOTTED_GUARDS: usize = 12;

/// A number of an environment.
pub(super) struct Measure {
    pub(super) name: &'static str,
    /// Its column where numbers are basic units.
    pub(super) column: &'static str,
    pub(super) value: fn(&ArmReport) -> Option<f64>,
    words: fn(f64) -> String,
    /// Of traces that have no such number.
    missing: &'static str,
}

impl Measure {
    pub(super) fn said(&self, arm: &ArmReport) -> String {
        match (self.value)(arm) {
            Some(value) => (self.words)(value),
            None if arm.traces > 0 => self.missing.to_owned(),
            None => "none".to_owned(),
        }
    }

    const fn of(
        name: &'static str,
        column: &'static str,
        value: fn(&ArmReport) -> Option<f64>,
        words: fn(f64) -> String,
    ) -> Measure {
        Measure { name, column, value, words, missing: "none" }
    }

    const fn quantile(name: &'static str, column: &'static str, value: fn(&ArmReport) -> Option<f64>) -> Measure {
        Measure { name, column, value, words: duration, missing: "not out" }
    }
}

const TRACES: Measure = Measure::of("Traces", "traces", |arm| Some(arm.traces as f64), |value| format!("{value:.0}"));
const RATE: Measure = Measure::of("Traces/s", "traces_per_second", |arm| arm.traces_per_second, number);
const ERRORS: Measure = Measure::of("Errors", "error_share", |arm| arm.errors, percent);
const LOSS: Measure = Measure::of("Loss", "loss_share", |arm| arm.loss, percent);
const P50: Measure = Measure::quantile("p50", "p50_us", |arm| arm.p50_us);
const P95: Measure = Measure::quantile("p95", "p95_us", |arm| arm.p95_us);
const P99: Measure = Measure::quantile("p99", "p99_us", |arm| arm.p99_us);

/// All of them, in the tables' order.
pub(super) const MEASURES: [Measure; 7] = [TRACES, RATE, ERRORS, LOSS, P50, P95, P99];

/// Blue beside green: lately, and over the whole rollout.
pub(super) fn beside(timeline: Option<&TimelineReport>) -> Markup {
    let columns = timeline.map(|timeline| [("lately", &timeline.lately), ("in all", &timeline.whole)]);
    let columns: Vec<(&str, &WindowReport)> =
        columns.into_iter().flatten().filter_map(|(words, window)| Some((words, window.as_ref()?))).collect();
    let lasts = |window: &WindowReport| super::plot::clock(window.until.since_ms(window.from) as f64 / 1_000.0);
    html! {
        section id="beside" data-live aria-label="Blue beside green" {
            h2 { "Blue beside green" }
            @if columns.is_empty() { p { "No traces have been judged yet, or so many rollouts began since that only the ledger has them." } }
            @else { div.scroll tabindex="0" role="group" aria-label="Table" { table {
                caption { "Traces that were verified. Latency is from the gateway's hand-over to the tap, of the slowest span of a trace." }
                thead { tr {
                    th scope="col" { "" }
                    @for (words, window) in &columns { @for environment in Environment::BOTH {
                        th.n scope="col" { (capital(environment)) ", " (words) small.faint { " (" (lasts(window)) ")" } }
                    } }
                } }
                tbody { @for measure in MEASURES { tr {
                    th scope="row" { (measure.name) }
                    @for (_, window) in &columns { @for environment in Environment::BOTH {
                        td.n { (measure.said(window.arm(environment))) }
                    } }
                } } }
            } } }
        }
    }
}

/// The plots, and where the numbers are. Drawn anew less often than the rest: it is most of the page.
pub(super) fn plots(report: &Report, timeline: Option<&TimelineReport>) -> Markup {
    let path = rollout_path(&report.rollout.0);
    html! {
        section id="over-time" data-live aria-label="Over time" {
            h2 { "Over time" }
            @match timeline.filter(|timeline| !timeline.windows.is_empty() || !timeline.shifts.is_empty()) {
                None => p { "There is nothing to be drawn yet, or so many rollouts began since that only the ledger has it." },
                Some(timeline) => {
                    p { "From " (when::time(report.started_at)) " on, in minutes and seconds."
                        @if let Some(words) = decided(report) { " The upright line is where it was decided: " (words) "." }
                        " " a href={ (path) "/numbers" } { "The numbers" } ", "
                        a href={ (path) "/numbers.csv" } { "as CSV" } "." }
                    div.plots { @for figure in figures(report, timeline) { (figure) } }
                },
            }
        }
    }
}

fn decided(report: &Report) -> Option<&'static str> {
    match report.progress {
        Progress::RollingBack | Progress::RolledBack => Some("back to blue"),
        Progress::Promoting | Progress::Promoted => Some("green is promoted"),
        Progress::Progressing | Progress::Paused | Progress::Held => None,
    }
}

/// What all plots of a rollout have in common: its time.
struct Span {
    start: UnixMillis,
    end: f64,
    mark: Option<f64>,
}

impl Span {
    fn of(report: &Report, timeline: &TimelineReport) -> Span {
        let start = report.started_at;
        let last =
            timeline.windows.iter().map(|window| window.judged_at).chain(timeline.shifts.iter().map(|shift| shift.at));
        let end = last.chain(report.ended_at).max().unwrap_or(start);
        let seconds = |at: UnixMillis| at.since_ms(start) as f64 / 1_000.0;
        Span { start, end: seconds(end), mark: report.decided_at.map(seconds) }
    }

    fn seconds(&self, at: UnixMillis) -> f64 {
        at.since_ms(self.start) as f64 / 1_000.0
    }

    fn plot(
        &self,
        says: String,
        scale: Scale,
        words: fn(&f64) -> String,
        lines: Vec<Line>,
        limits: Vec<f64>,
    ) -> Markup {
        Plot { says, scale, words, end: self.end, mark: self.mark, lines, limits }.draw()
    }

    /// A number of one environment at the end of each window. Without traces there is none.
    fn line(
        &self,
        windows: &[WindowReport],
        of: Environment,
        width: u32,
        value: fn(&ArmReport) -> Option<f64>,
    ) -> Line {
        let point = |window: &WindowReport| (self.seconds(window.until), value(window.arm(of)));
        Line { ink: Ink::of(of), width, points: windows.iter().map(point).collect() }
    }
}

fn figures(report: &Report, timeline: &TimelineReport) -> Vec<Markup> {
    let span = Span::of(report, timeline);
    let mut figures = vec![weights(&span, &timeline.shifts)];
    let linear = |at_least| Scale::Linear { from: 0.0, at_least, at_most: f64::MAX };
    let percentage = |share: &f64| percent(*share);
    figures.push(measured(&span, timeline, "Traces a second", linear(1.0), |value| number(*value), &[(RATE, 2)]));
    figures.push(measured(&span, timeline, "Errors", linear(0.01), percentage, &[(ERRORS, 2)]));
    figures.push(measured(&span, timeline, "Loss", linear(0.01), percentage, &[(LOSS, 2)]));
    let quantiles = [(P50, 1), (P95, 2), (P99, 3)];
    figures.push(measured(&span, timeline, "Latency", Scale::Logarithmic, |value| duration(*value), &quantiles));
    figures.extend((0..timeline.guards.len().min(MAX_PLOTTED_GUARDS)).map(|guard| evidence(&span, timeline, guard)));
    figures
}

fn weights(span: &Span, shifts: &[ShiftPoint]) -> Markup {
    let share = |observed: bool| shifts.iter().filter(move |shift| shift.observed == observed);
    let steps = |observed: bool| {
        let mut points = Vec::new();
        let mut before = None;
        for shift in share(observed) {
            let at = span.seconds(shift.at);
            points.extend(before.map(|share| (at, Some(share))));
            points.push((at, Some(shift.green.share())));
            before = Some(shift.green.share());
        }
        points.extend(before.map(|share| (span.end, Some(share))));
        points
    };
    let now = |observed| share(observed).next_back().map_or("none".to_owned(), |shift| shift.green.to_string());
    let (ordered, observed) = (now(false), now(true));
    let lines = vec![
        Line { ink: Ink::Limit, width: 1, points: steps(false) },
        Line { ink: Ink::Green, width: 3, points: steps(true) },
    ];
    let says = format!("Green's share over time: ordered {ordered}, observed {observed} at last");
    let scale = Scale::Linear { from: 0.0, at_least: 1.0, at_most: 1.0 };
    html! { figure {
        figcaption { "Green's share" }
        (span.plot(says, scale, |value| percent(*value), lines, vec![]))
        p.legend { (key(Ink::Green, &format!("observed {observed}"))) (key(Ink::Limit, &format!("ordered {ordered}"))) }
    } }
}

/// Numbers of both environments, each with the width of its line.
fn measured(
    span: &Span,
    timeline: &TimelineReport,
    title: &str,
    scale: Scale,
    words: fn(&f64) -> String,
    which: &[(Measure, u32)],
) -> Markup {
    let mut lines = Vec::new();
    let mut legend = Vec::new();
    for environment in Environment::BOTH {
        let mut last = Vec::new();
        for (measure, width) in which {
            lines.push(span.line(&timeline.windows, environment, *width, measure.value));
            let now =
                timeline.lately.as_ref().map_or("none".to_owned(), |lately| measure.said(lately.arm(environment)));
            last.push(if which.len() > 1 { format!("{} {now}", measure.name) } else { now });
        }
        legend.push((Ink::of(environment), format!("{environment}, lately: {}", last.join(", "))));
    }
    let says = legend.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join("; ");
    html! { figure {
        figcaption { (title) }
        (span.plot(format!("{title} over time. {says}"), scale, words, lines, vec![]))
        p.legend { @for (ink, words) in &legend { (key(*ink, words)) } }
    } }
}

fn evidence(span: &Span, timeline: &TimelineReport, guard: usize) -> Markup {
    let line = &timeline.guards[guard];
    let pick = |of: fn(&GuardPoint) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        let value = |window: &WindowReport| window.evidence.guards.get(guard).and_then(of);
        // Evidence is what has come together so far: the last of some windows stands for them.
        let each = timeline.windows.len().div_ceil(MAX_EVIDENCE_POINTS).max(1);
        let ends = timeline.windows.chunks(each).filter_map(<[WindowReport]>::last);
        ends.map(|window| (span.seconds(window.judged_at), value(window))).collect()
    };
    let (against, for_green) = (pick(|it| it.against), pick(|it| it.for_green));
    let now = |points: &[(f64, Option<f64>)]| points.iter().rev().find_map(|(_, value)| *value);
    let limits: Vec<f64> = [line.threshold_against, line.threshold_for].into_iter().flatten().collect();
    let highest = limits.iter().copied().fold(1.0, f64::max);
    let of =
        |value: Option<f64>, threshold: Option<f64>| format!("{} of {}", said(value, number), said(threshold, number));
    let mut legend = vec![(Ink::Against, format!("against green: {}", of(now(&against), line.threshold_against)))];
    let mut lines = vec![Line { ink: Ink::Against, width: 2, points: against }];
    if line.threshold_for.is_some() {
        legend.push((Ink::For, format!("for green: {}", of(now(&for_green), line.threshold_for))));
        lines.push(Line { ink: Ink::For, width: 2, points: for_green });
    }
    let says = legend.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join("; ");
    let scale = Scale::Linear { from: -highest / 2.0, at_least: highest, at_most: EVIDENCE_UP_TO * highest };
    html! { figure {
        figcaption { "Evidence: " bdi { (line.guard) } }
        (span.plot(format!("Evidence of {} over time, as natural logarithms. {says}", line.guard), scale, |value| number(*value), lines, limits))
        p.legend { @for (ink, words) in &legend { (key(*ink, words)) } }
    } }
}

/// A share of 1 as a percentage, with up to three decimals.
fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Microseconds, in the unit that leaves few digits.
fn duration(us: f64) -> String {
    match us {
        _ if us < 1_000.0 => format!("{us:.0} us"),
        _ if us < 1_000_000.0 => format!("{} ms", number(us / 1_000.0)),
        _ => format!("{} s", number(us / 1_000_000.0)),
    }
}

pub(super) fn said(value: Option<f64>, words: fn(f64) -> String) -> String {
    value.map_or("none".to_owned(), words)
}

pub(super) fn capital(environment: Environment) -> &'static str {
    match environment {
        Environment::Blue => "Blue",
        Environment::Green => "Green",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use control::rollout::{Evidence, GuardLine};
    use model::BasisPoints;

    pub(in crate::pages) const START: UnixMillis = UnixMillis(1_700_000_000_000);

    /// A rollout of so many windows of ten seconds and twelve guards.
    pub(in crate::pages) fn timeline(windows: u64) -> TimelineReport {
        let arm = |n: u64| ArmReport {
            traces: 1_000 + n,
            traces_per_second: Some(100.0 + n as f64 / 7.0),
            errors: Some(0.01 * (n as f64 / 3.0).sin().abs()),
            loss: Some(0.001),
            p50_us: Some(1_500.0 + (n % 17) as f64),
            p95_us: Some(4_500.0 + (n % 23) as f64),
            p99_us: (!n.is_multiple_of(9)).then_some(9_500.0 + (n % 31) as f64),
        };
        let window = |n: u64| WindowReport {
            from: START.plus_ms(n * 10_000),
            until: START.plus_ms((n + 1) * 10_000),
            judged_at: START.plus_ms((n + 1) * 10_000 + 2_000),
            blue: arm(n),
            green: arm(n / 9),
            evidence: Evidence {
                all: Some(n as f64 / 60.0),
                guards: vec![
                    GuardPoint { against: Some((n as f64 / 5.0).sin()), for_green: Some(n as f64 / 30.0) };
                    12
                ],
            },
        };
        let line =
            |n| GuardLine { guard: format!("guard-{n}"), threshold_against: Some(6.9), threshold_for: Some(4.6) };
        let shift =
            |observed| ShiftPoint { at: START, observed, green: BasisPoints::new(1_000).unwrap(), mirror: false };
        let windows: Vec<_> = (0..windows).map(window).collect();
        TimelineReport {
            guards: (0..12).map(line).collect(),
            lately: windows.last().cloned(),
            whole: windows.first().cloned(),
            windows,
            shifts: vec![shift(false), shift(true)],
        }
    }

    #[test]
    fn numbers_stand_beside_the_lines() {
        let timeline = timeline(20);
        let drawn = beside(Some(&timeline)).into_string();
        for part in ["Blue, lately", "Green, in all", "102.71", "4.52 ms", "0.1%", "(0:10)"] {
            assert!(drawn.contains(part), "{part} is not in {drawn}");
        }
        assert!(beside(None).into_string().contains("No traces have been judged yet"));
    }

    #[test]
    fn shares_and_durations_have_few_digits() {
        assert_eq!([0.0, 0.000_01, 0.123_456, 1.0].map(percent), ["0%", "0.001%", "12.346%", "100%"]);
        assert_eq!([12.4, 9_503.0, 2_500_000.0].map(duration), ["12 us", "9.5 ms", "2.5 s"]);
    }
}
