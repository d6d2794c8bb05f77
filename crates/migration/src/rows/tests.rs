//! The state machine against a server of a few lines: what was done to green is what is found.

use super::*;
use crate::assessment::Findings;
use crate::checks::TableName;
use crate::key::{KeyClass, Shower};
use crate::sql::{Canonical, Checksum, ColumnRead};
use model::GateVerdict;
use proptest::prelude::*;

/// Rows by key; a key may be on several.
type Table = Vec<(i64, u64)>;

fn read() -> Arc<TableRead> {
    let key = KeyColumn { name: "id".into(), class: KeyClass::Integer, nullable: false };
    let columns = vec![ColumnRead { name: "v".into(), canonical: Canonical::Plain }];
    Arc::new(TableRead {
        name: TableName::new("t"),
        key: vec![key],
        columns,
        filter: None,
        is_utf8: true,
        checksum: Checksum::Builtin,
        can_sample: true,
    })
}

/// A hash of the row: changes of two rows must not cancel each other in a sum.
fn mixed((key, value): (i64, u64)) -> u64 {
    let mix = |word: u64| (word ^ (word >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    mix(mix(key.unsigned_abs()) ^ mix(value).rotate_left(17) ^ u64::from(key < 0))
}

/// What a server would say. The rows are sorted.
fn serve(rows: &Table, question: &Question) -> Answer {
    let number = |key: &Key| key.0[0].parse::<i64>().unwrap();
    let inside = |range: &Range| -> Vec<(i64, u64)> {
        let after = range.after.as_ref().map_or(i64::MIN, number);
        let until = range.until.as_ref().map_or(i64::MAX, number);
        rows.iter().filter(|(key, _)| *key > after && *key <= until).copied().collect()
    };
    let hash = |row: &(i64, u64)| format!("{:032x}", row.1);
    let rows: Vec<Vec<String>> = match question {
        Question::Count { .. } => vec![vec![rows.len().to_string()]],
        Question::Split { range, step, .. } => {
            let all = inside(range);
            let nth = (1..=all.len() as u64).filter(|at| at.is_multiple_of(*step));
            nth.map(|at| vec![all[at as usize - 1].0.to_string()]).collect()
        }
        // Of every seventh row, and of none where there are some more.
        Question::Sample { rows: all, .. } => {
            let sample: Vec<_> = rows.iter().step_by(7).filter(|_| all % 2 == 0).collect();
            let step = (sample.len() / FANOUT).max(1);
            sample.iter().skip(step - 1).step_by(step).take(FANOUT).map(|row| vec![row.0.to_string()]).collect()
        }
        Question::Sums { range, bounds, .. } => {
            let mut sums = BTreeMap::<usize, (u64, i128)>::new();
            for row in inside(range) {
                let sum = sums.entry(bounds.partition_point(|bound| number(bound) < row.0)).or_default();
                sum.0 += 1;
                sum.1 += i128::from(mixed(row));
            }
            sums.iter().map(|(part, (rows, sum))| vec![part.to_string(), rows.to_string(), sum.to_string()]).collect()
        }
        Question::Rows { range, .. } => {
            inside(range).iter().take(MAX_FETCHED_ROWS + 1).map(|row| vec![row.0.to_string(), hash(row)]).collect()
        }
        Question::Columns { range, keys, .. } => {
            let wanted = |row: &&(i64, u64)| keys.iter().any(|key| number(key) == row.0);
            inside(range).iter().filter(wanted).map(|row| vec![row.0.to_string(), hash(row)]).collect()
        }
        Question::Server | Question::Catalog { .. } | Question::Largest { .. } | Question::Query { .. } => {
            unreachable!("a table's run does not ask this")
        }
    };
    Answer { rows: rows.into_iter().map(|row| row.into_iter().map(Some).collect()).collect() }
}

struct Found {
    verdict: GateVerdict,
    reasons: Vec<String>,
    /// Lost, added, changed rows.
    counts: [u64; 3],
    questions: usize,
    left: u64,
}

fn compare(mut tables: PerEnvironment<Table>, demand: Rows) -> Found {
    tables.blue.sort_unstable();
    tables.green.sort_unstable();
    let mut run = RowsRun::new(PerEnvironment { blue: read(), green: read() }, demand);
    let mut questions = 0;
    while run.ask() != PerEnvironment::default() {
        let asked = run.ask();
        questions += 1;
        // The whole, then for each differing range its division, its sums, its rows, and their columns.
        assert!(questions <= 3 + 2 * MAX_SPLITS + 2 * MAX_FOLLOWED, "{asked:?}");
        for question in [&asked.blue, &asked.green].into_iter().flatten() {
            let rows = serve(&tables.blue, question).rows.len();
            assert!(rows <= question.max_rows(), "{rows} rows for {question:?}");
        }
        let answer = |side: Environment| asked[side].as_ref().map(|question| serve(&tables[side], question));
        run.take(PerEnvironment::from_fn(answer)).unwrap();
    }
    let mut findings = Findings::default();
    run.report().tell(&Shower::new([1; 32]), &mut findings);
    let assessment = findings.assess();
    let table = &assessment.evidence["tables"][0];
    let counts = ["lost", "added", "changed"].map(|kind| table[kind]["rows"].as_u64().unwrap());
    let left = table["notFollowed"]["ranges"].as_u64().unwrap();
    Found { verdict: assessment.verdict, reasons: assessment.reasons, counts, questions, left }
}

fn numbers(keys: impl Iterator<Item = i64>) -> Table {
    keys.map(|key| (key, key.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

#[test]
fn two_divisions_find_one_row_among_many() {
    let blue = numbers(0..100_000);
    for lost in [0, 1, 49_999, 99_999] {
        let mut green = blue.clone();
        green.remove(lost);
        let found = compare(PerEnvironment { blue: blue.clone(), green }, Rows::Same);
        let words = format!("t: green lost 1 row of blue's 100,000; the first is id {lost} (row ");
        let row = found.reasons[0].strip_prefix(&words).unwrap_or_else(|| panic!("{:?}", found.reasons));
        assert_eq!(row.replace(',', ""), format!("{} of blue by key)", lost + 1));
        assert_eq!(found.verdict, GateVerdict::Fail);
        // Count, twice a division and its sums, and the rows; the last part of a sample is small.
        assert!(found.questions <= 6, "{}", found.questions);
    }
}

#[test]
fn what_a_bound_leaves_out_is_told() {
    let blue = numbers(0..100_000);
    let green = blue.iter().map(|(key, value)| (*key, value + 1)).collect();
    let found = compare(PerEnvironment { blue, green }, Rows::Same);
    assert!(found.left > 0 && found.counts[2] > 0, "{:?}", found.reasons);
    assert_eq!(found.verdict, GateVerdict::Fail);
    assert!(found.reasons.iter().any(|reason| reason.contains("were not followed")), "{:?}", found.reasons);
}

#[test]
fn one_key_on_many_rows_ends() {
    let (blue, mut green) = (vec![(5, 1); 10_000], vec![(5, 1); 10_000]);
    green[77].1 = 2;
    let found = compare(PerEnvironment { blue, green }, Rows::Same);
    // It is seen at once that no division helps.
    assert_eq!((found.verdict, found.left, found.questions), (GateVerdict::Fail, 1, 3));
}

#[test]
fn what_green_may_have_more_does_not_fail_and_does_not_hide() {
    let blue = numbers((0..10_000).map(|key| key * 2));
    let more: Table = numbers((0..3).map(|key| key * 2 + 5_001)).into_iter().chain(blue.clone()).collect();
    let tables = |green: &Table| PerEnvironment { blue: blue.clone(), green: green.clone() };
    assert_eq!(compare(tables(&more), Rows::GreenMayHaveMore).verdict, GateVerdict::Pass);
    assert_eq!(compare(tables(&more), Rows::Same).verdict, GateVerdict::Fail);
    let fewer: Table = more.iter().filter(|(key, _)| *key != 5_000).copied().collect();
    let found = compare(tables(&fewer), Rows::GreenMayHaveMore);
    assert_eq!((found.verdict, found.counts[0]), (GateVerdict::Fail, 1));
    // Everywhere something new: what is not followed is not known.
    let everywhere: Table = numbers((0..10_000).map(|key| key * 2 + 1)).into_iter().chain(blue.clone()).collect();
    assert_eq!(compare(tables(&everywhere), Rows::GreenMayHaveMore).verdict, GateVerdict::Inconclusive);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Few changes are found exactly, whatever the keys are like.
    #[test]
    fn what_was_done_is_what_is_found(
        rows in 0_usize..5_000,
        stride in 1_i64..1_000,
        lost in prop::collection::btree_set(0_usize..1_000_000, 0..5),
        changed in prop::collection::btree_set(0_usize..1_000_000, 0..5),
        added in prop::collection::btree_set(-2_000_000_i64..2_000_000, 0..5),
    ) {
        let blue = numbers((0..rows as i64).map(|key| (key - 100) * stride));
        let (mut green, mut expected) = (blue.clone(), [0_u64; 3]);
        if rows > 0 {
            for at in &changed {
                let row = &mut green[at % rows];
                if row.1 == blue[at % rows].1 {
                    row.1 ^= 1;
                    expected[2] += 1;
                }
            }
            let lost: std::collections::BTreeSet<_> = lost.iter().map(|at| at % rows).collect();
            for at in lost.iter().rev() {
                expected[2] -= u64::from(green[*at] != blue[*at]);
                expected[0] += 1;
                green.remove(*at);
            }
        }
        for key in added {
            if !blue.iter().any(|(other, _)| *other == key) {
                green.push((key, 1));
                expected[1] += 1;
            }
        }
        let found = compare(PerEnvironment { blue, green }, Rows::Same);
        prop_assert_eq!(found.counts, expected);
        prop_assert_eq!(found.left, 0);
        let verdict = if expected == [0; 3] { GateVerdict::Pass } else { GateVerdict::Fail };
        prop_assert_eq!(found.verdict, verdict);
    }

    /// No answer makes it panic or go on for ever.
    #[test]
    fn any_answer_is_taken_or_refused(
        answers in prop::collection::vec(prop::collection::vec(prop::collection::vec(prop::option::of("-?[0-9]{1,4}|[a-f]{1,3}"), 0..4), 0..70), 0..40),
    ) {
        let mut run = RowsRun::new(PerEnvironment { blue: read(), green: read() }, Rows::Same);
        for rows in answers {
            let answer = Answer { rows };
            if run.take(PerEnvironment { blue: Some(answer.clone()), green: Some(answer) }).is_err() {
                break;
            }
        }
    }
}
