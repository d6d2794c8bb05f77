//! Something is wrong, or a proof is owed: how many traces until evidence reaches 100, that is alpha = 0.01?

use super::scenes::{BATCH, Slowness, WATCHED, beyond, counts, exceedances, hazard, split};
use super::{Seeds, TRACES_PER_S, all_runs};
use judge::forms::{NotSlower, NotWorse, Slower, Worse};
use judge::simulate::Random;

/// ln 1/0.01.
const LOG_THRESHOLD: f64 = 4.605_170_185_988_091;

/// A run that has not come to its end by so many times the table's median never does.
const GIVE_UP: u64 = 40;

/// One cell of the second table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) weight: f64,
    /// The table's median and 95th percentile, where it has one; traces in total.
    pub(super) table: (u64, Option<u64>),
    pub(super) runs: u64,
    /// What the form takes that the table has: R and L look for a regression from the first batch on, but for the row
    /// that says otherwise.
    pub(super) as_in_table: Ends,
    /// What the judge takes, which looks for a late onset with half of its evidence.
    pub(super) as_judged: Ends,
}

/// The ends of the runs that came to one, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    /// Traces in total.
    pub(super) traces: Vec<u64>,
    /// Green's.
    pub(super) green: Vec<u64>,
}

impl Row {
    pub(super) fn quantile(&self, of: &[u64], share: f64) -> Option<u64> {
        let needed = (self.runs as f64 * share).ceil().max(1.0) as usize;
        of.get(needed - 1).copied()
    }

    /// Our median over the table's.
    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.quantile(&self.as_in_table.traces, 0.5)? as f64 / self.table.0 as f64)
    }
}

/// What a row simulates.
#[derive(Clone, Copy, Debug)]
enum Scene {
    /// R, from a share to another.
    Rate { base: f64, worse: f64 },
    /// L.
    Latency(Slowness),
    /// R, nothing wrong for three hours; counted from then on. Without late onset in the table, or with it.
    Late { plain: bool },
    /// NI for a rate of 0.1 %, equal in both.
    NotWorse { psi0: f64 },
    /// NI for latency at p50, p90 and p99, equal in both, all three.
    NotSlower { margin: f64 },
}

/// A table's row: its name, what it simulates, and its figures at 50, 10 and 1 %.
type TableRow = (&'static str, Scene, [(u64, Option<u64>); 3]);

const K: u64 = 1_000;
const M: u64 = 1_000_000;

fn rate(base: f64, worse: f64) -> Scene {
    Scene::Rate { base, worse }
}

/// STATISTICS.md, "Requests needed in total at alpha = .01, median/p95".
fn table() -> Vec<TableRow> {
    let with = |median: u64, p95: u64| (median, Some(p95));
    let median = |median: u64| (median, None);
    let tail = Scene::Latency(Slowness::Tail(1.2));
    let all = |factor: f64| Scene::Latency(Slowness::All(factor));
    vec![
        ("errors .1 to 1%", rate(0.001, 0.01), [with(2_500, 5_300), with(5_500, 13 * K), with(40 * K, 120 * K)]),
        (
            "errors .1 to .3%",
            rate(0.001, 0.003),
            [with(19 * K, 47 * K), with(47 * K, 136 * K), with(427 * K, 1_200 * K)],
        ),
        (
            "errors .1 to .2%",
            rate(0.001, 0.002),
            [with(61 * K, 144 * K), with(152 * K, 376 * K), with(1_400 * K, 3_600 * K)],
        ),
        ("errors 1 to 2%", rate(0.01, 0.02), [with(6_300, 14 * K), with(16 * K, 39 * K), with(142 * K, 332 * K)]),
        (
            "errors 1 to 1.25%",
            rate(0.01, 0.0125),
            [with(79 * K, 201 * K), with(215 * K, 540 * K), with(2 * M, 4_700 * K)],
        ),
        ("loss 1e-5 to 1e-3", rate(1e-5, 1e-3), [with(19 * K, 33 * K), with(35 * K, 81 * K), with(267 * K, 578 * K)]),
        ("all latency x1.2", all(1.2), [with(2_000, 4_200), with(5_400, 11 * K), with(45 * K, 104 * K)]),
        ("all latency x1.05", all(1.05), [with(32 * K, 74 * K), with(82 * K, 182 * K), with(793 * K, 1_500 * K)]),
        ("p99 +20%, above p95", tail, [with(12 * K, 24 * K), with(30 * K, 59 * K), with(235 * K, 591 * K)]),
        ("hour 3, plain form", Scene::Late { plain: true }, [median(28 * K), median(47 * K), median(157 * K)]),
        ("hour 3, late onset", Scene::Late { plain: false }, [median(6 * K), median(13 * K), median(75 * K)]),
        (
            "promote, psi0 = 1.5",
            Scene::NotWorse { psi0: 1.5 },
            [with(241 * K, 559 * K), with(641 * K, 1_400 * K), with(6 * M, 12 * M)],
        ),
        (
            "promote, psi0 = 2",
            Scene::NotWorse { psi0: 2.0 },
            [with(87 * K, 211 * K), with(212 * K, 477 * K), with(1_600 * K, 3_700 * K)],
        ),
        (
            "promote latency, 1.2",
            Scene::NotSlower { margin: 1.2 },
            [with(23 * K, 48 * K), with(54 * K, 124 * K), with(587 * K, 1_200 * K)],
        ),
    ]
}

pub(super) fn rows(seeds: &Seeds, told: impl Fn(String)) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, scene, figures) in table() {
        for (weight, table) in [0.5, 0.1, 0.01].into_iter().zip(figures) {
            told(format!("{name}, {}% green", weight * 100.0));
            rows.push(row(seeds, rows.len() as u64, (name, scene), weight, table));
        }
    }
    rows
}

fn row(seeds: &Seeds, place: u64, (name, scene): (&'static str, Scene), weight: f64, table: (u64, Option<u64>)) -> Row {
    // A hundredth of what it takes, so that the batch's length does not show in the median.
    let batch = (table.0 / 100).clamp(*BATCH.start(), *BATCH.end());
    let most = table.0 * GIVE_UP;
    let ends = all_runs(seeds.detections, |run| {
        let random = Random::of_run(seeds.first.wrapping_add((1_000 + place) << 32), run);
        let mut traffic = Traffic { random, batch, weight, traces: 0, green: 0 };
        traffic.until_the_end(scene, most)
    });
    let [as_in_table, as_judged] = [0, 1].map(|form| {
        let of = |ends: &[Option<End>; 2]| ends[form];
        let mut traces: Vec<u64> = ends.iter().filter_map(of).map(|end| end.traces).collect();
        let mut green: Vec<u64> = ends.iter().filter_map(of).map(|end| end.green).collect();
        traces.sort_unstable();
        green.sort_unstable();
        Ends { traces, green }
    });
    Row { name, weight, table, runs: seeds.detections, as_in_table, as_judged }
}

/// When a form's evidence reached the threshold.
#[derive(Clone, Copy, Debug)]
struct End {
    traces: u64,
    green: u64,
}

struct Traffic {
    random: Random,
    batch: u64,
    weight: f64,
    /// So far, in total.
    traces: u64,
    green: u64,
}

impl Traffic {
    /// When the table's form and the judge's reached the threshold; `None` for one that did not within so many traces.
    fn until_the_end(&mut self, scene: Scene, most: u64) -> [Option<End>; 2] {
        let hazard = hazard(self.batch);
        match scene {
            Scene::Rate { base, worse } => {
                let mut form = Worse::rate();
                self.go_on(most, |random, green, blue| {
                    form.observe(counts(random, green, worse), counts(random, blue, base), hazard);
                    [form.log_plain(), form.log_evidence()]
                })
            }
            Scene::Latency(slowness) => {
                let (slow, usual) = (exceedances(slowness, &WATCHED, 1.0), exceedances(Slowness::None, &WATCHED, 1.0));
                let mut form = Slower::new(WATCHED.len());
                self.go_on(most, |random, green, blue| {
                    let (green, blue) = (beyond(random, green, &slow), beyond(random, blue, &usual));
                    form.observe(green.into_iter().zip(blue), hazard);
                    [form.log_plain(), form.log_evidence()]
                })
            }
            Scene::Late { plain } => self.late(plain, most),
            Scene::NotWorse { psi0 } => {
                let mut form = NotWorse::new(psi0);
                self.go_on(most, |random, green, blue| {
                    form.observe(counts(random, green, 0.001), counts(random, blue, 0.001));
                    [form.log_evidence(); 2]
                })
            }
            Scene::NotSlower { margin } => self.not_slower(margin, most),
        }
    }

    /// Batch after batch until both forms have reached the threshold.
    fn go_on(&mut self, most: u64, mut observe: impl FnMut(&mut Random, u64, u64) -> [f64; 2]) -> [Option<End>; 2] {
        let mut ends = [None; 2];
        while self.traces < most && ends.iter().any(Option::is_none) {
            let (green, blue) = split(&mut self.random, self.batch, self.weight);
            self.traces += self.batch;
            self.green += green;
            for (end, log_evidence) in ends.iter_mut().zip(observe(&mut self.random, green, blue)) {
                if log_evidence >= LOG_THRESHOLD {
                    end.get_or_insert(End { traces: self.traces, green: self.green });
                }
            }
        }
        ends
    }

    /// Three hours of 0.1 % in both, then 1 % in green. What alarms before counts as at once.
    fn late(&mut self, plain: bool, most: u64) -> [Option<End>; 2] {
        let (mut form, hazard) = (Worse::rate(), hazard(self.batch));
        let mut observe = |random: &mut Random, green: u64, blue: u64, worse: f64| {
            form.observe(counts(random, green, worse), counts(random, blue, 0.001), hazard);
            [if plain { form.log_plain() } else { form.log_evidence() }, form.log_evidence()]
        };
        let three_hours = 3 * 3_600 * TRACES_PER_S;
        let before = self.go_on(three_hours, |random, green, blue| observe(random, green, blue, 0.001));
        (self.traces, self.green) = (0, 0);
        let after = self.go_on(most, |random, green, blue| observe(random, green, blue, 0.01));
        [0, 1].map(|form| before[form].map_or(after[form], |_| Some(End { traces: 0, green: 0 })))
    }

    /// Each quantile by itself, the weakest counts.
    fn not_slower(&mut self, margin: f64, most: u64) -> [Option<End>; 2] {
        const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
        let (with_margin, without) =
            (exceedances(Slowness::None, &QUANTILES, margin), exceedances(Slowness::None, &QUANTILES, 1.0));
        let mut forms = [const { None }; QUANTILES.len()].map(|_: Option<NotSlower>| NotSlower::new());
        self.go_on(most, |random, green, blue| {
            let (green, blue) = (beyond(random, green, &with_margin), beyond(random, blue, &without));
            for ((form, green), blue) in forms.iter_mut().zip(green).zip(blue) {
                form.observe(green, blue);
            }
            [forms.iter().map(NotSlower::log_evidence).fold(f64::INFINITY, f64::min); 2]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table is `cargo xtask bench judge`'s; here the rows that take little, within a third.
    #[test]
    fn the_quick_rows_take_what_the_table_says() {
        let seeds = Seeds { first: 3, false_alarms: 0, detections: 40, splits: 0, delays: 0 };
        for (place, (name, scene, figures)) in (0..).zip(table()) {
            if figures[0].0 <= 12 * K && !matches!(scene, Scene::Late { .. }) {
                let row = row(&seeds, place, (name, scene), 0.5, figures[0]);
                let ratio = row.ratio().unwrap();
                assert!((0.67..1.5).contains(&ratio), "{name}: {ratio}");
            }
        }
    }
}
