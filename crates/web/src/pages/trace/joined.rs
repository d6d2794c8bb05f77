//! What was sent, what blue put out and what green put out, as one tree. Pure.

use model::{Environment, SpanId};
use std::collections::{BTreeMap, BTreeSet};
use verify::diff::{By, Difference, ExampleSides, Row, Seen, Side, Span, Spent, compare, spent};

/// The whole trace.
pub(super) struct Joined {
    /// The tree, with what the environments know of each span.
    pub(super) rows: Vec<JoinedRow>,
    /// Environments of which there is an example, blue first.
    pub(super) environments: Vec<Environment>,
    /// Spans for which the blobs had no room.
    pub(super) omitted: usize,
}

/// One span.
pub(super) struct JoinedRow {
    /// Its place in the tree, service and name. Its differences are those of no environment.
    pub(super) row: Row,
    /// Its time, if known.
    pub(super) spent: Option<Spent>,
    /// Whether it was sent to any environment.
    pub(super) sent: Option<Seen>,
    /// In the order of [`Joined::environments`].
    pub(super) out: Vec<Out>,
    /// Rows below it.
    pub(super) below: usize,
    /// Whether anything differs of them, in any environment.
    pub(super) differs_below: bool,
}

/// A span in one environment.
#[derive(Default)]
pub(super) struct Out {
    /// What came out of it.
    pub(super) seen: Option<Seen>,
    /// Whether it was sent there.
    pub(super) was_sent: bool,
    /// Against what was sent there.
    pub(super) differences: Vec<Difference>,
}

impl JoinedRow {
    pub(super) fn differs(&self) -> bool {
        self.out.iter().any(|out| !out.differences.is_empty())
    }
}

type Key = (SpanId, u8);

impl Joined {
    /// Of one example for each environment.
    pub(super) fn of(examples: &[ExampleSides]) -> Joined {
        let mut examples: Vec<&ExampleSides> = examples.iter().collect();
        examples.sort_by_key(|example| example.environment);
        // The tree is that of what was sent to any of them; what came out alone stands where it came out.
        let (sent, out) = (union(examples.iter().map(|it| &it.sent)), union(examples.iter().map(|it| &it.out)));
        let tree = compare(&sent, &out, By::Id).rows;
        let mut by_environment: Vec<BTreeMap<Key, Vec<Row>>> = Vec::new();
        for example in &examples {
            let mut rows: BTreeMap<Key, Vec<Row>> = BTreeMap::new();
            for row in compare(&example.sent, &example.out, By::Id).rows.into_iter().rev() {
                rows.entry((row.span, row.kind)).or_default().push(row);
            }
            by_environment.push(rows);
        }
        let spent = spent(&tree);
        let mut rows: Vec<JoinedRow> = Vec::with_capacity(tree.len());
        for (row, spent) in tree.into_iter().zip(spent) {
            let key = (row.span, row.kind);
            let mut of_one = |rows: &mut BTreeMap<Key, Vec<Row>>| {
                let found = rows.get_mut(&key).and_then(Vec::pop);
                found.map_or_else(Out::default, |row| Out {
                    seen: row.b,
                    was_sent: row.a.is_some(),
                    differences: row.differences,
                })
            };
            let out: Vec<Out> = by_environment.iter_mut().map(&mut of_one).collect();
            rows.push(JoinedRow { sent: row.a, out, spent, row, below: 0, differs_below: false });
        }
        mark_below(&mut rows);
        Joined {
            rows,
            environments: examples.iter().map(|example| example.environment).collect(),
            omitted: examples.iter().map(|example| example.omitted).max().unwrap_or_default(),
        }
    }

    /// How many spans were sent, and of each environment how many differ.
    pub(super) fn counts(&self) -> (usize, Vec<usize>) {
        let differ = |at: usize| self.rows.iter().filter(|row| !row.out[at].differences.is_empty()).count();
        let sent = self.rows.iter().filter(|row| row.sent.is_some()).count();
        (sent, (0..self.environments.len()).map(differ).collect())
    }

    /// Operations by the time that they take by themselves, the most first: service, name, spans, microseconds.
    pub(super) fn bottlenecks(&self, most: usize) -> Vec<(&str, &str, u64, u64)> {
        let mut sums: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
        for JoinedRow { row, spent, .. } in &self.rows {
            let Some(spent) = spent else { continue };
            let sum = sums.entry((&row.service, &row.operation)).or_default();
            *sum = (sum.0 + 1, sum.1 + spent.exclusive_us);
        }
        let mut sums: Vec<_> =
            sums.into_iter().map(|((service, name), (spans, us))| (service, name, spans, us)).collect();
        sums.sort_by_key(|(.., us)| std::cmp::Reverse(*us));
        sums.truncate(most);
        sums
    }
}

/// Each span once; those that another side has too are taken from the first that has them.
fn union<'a>(sides: impl Iterator<Item = &'a Side>) -> Side {
    let (mut known, mut spans) = (BTreeSet::new(), Vec::new());
    for side in sides {
        for span in side.spans() {
            if known.insert((span.span, span.kind)) {
                spans.push(Span { noted: Vec::new(), ..span.clone() });
            }
        }
    }
    // Two sides of the most spans that there can be are more than one; what is too much is not shown.
    spans.truncate(verify::diff::MAX_SPANS);
    Side::new(spans).expect("it was cut to the bound")
}

fn mark_below(rows: &mut [JoinedRow]) {
    let deepest = rows.iter().map(|row| row.row.depth + 2).max().unwrap_or_default();
    // By depth: how many rows stand there below the row that is looked at, and whether any differs.
    let (mut counts, mut differs) = (vec![0; deepest], vec![false; deepest]);
    for row in rows.iter_mut().rev() {
        let depth = row.row.depth;
        row.below = std::mem::take(&mut counts[depth + 1]);
        row.differs_below = std::mem::take(&mut differs[depth + 1]);
        counts[depth] += row.below + 1;
        differs[depth] |= row.differs_below || row.differs();
    }
}
