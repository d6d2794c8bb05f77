//! Where the time of a trace goes, by the rows of its tree: exclusive time, and the critical path.
//!
//! The path is that of CRISP, as `path.rs` has it for traffic: from the end of the root backward, always into the child that
//! ended last before that point. Here it is per span, of whatever a file or an example knows, to be shown.

use super::Row;

/// So far apart are no two clocks; what is further is cut, so that sums of these never overflow.
const MOST_US: i64 = 1 << 52;

/// What one row has of the trace's time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// From the trace's start until the span began; may be negative where clocks differ.
    pub start_us: i64,
    /// What the span takes.
    pub duration_us: u64,
    /// What it takes without what its children cover.
    pub exclusive_us: u64,
    /// Of the critical path what is its own; `None` if it is not on the path.
    pub on_path_us: Option<u64>,
}

/// One for each row, in the rows' order; `None` where no time is known. The path is that of the root that takes longest.
pub fn spent(rows: &[Row]) -> Vec<Option<Spent>> {
    let first_ns = rows.iter().filter_map(|row| seen_ns(row).map(|(start, _)| start)).min().unwrap_or_default();
    let mut spent: Vec<Option<Spent>> = rows.iter().map(|row| times(row, first_ns)).collect();
    let children = children(rows);
    for at in 0..rows.len() {
        let Some(own) = spent[at] else { continue };
        let mut intervals = intervals(&spent, &children[at], own);
        intervals.sort_unstable();
        let (mut covered, mut reached) = (0, i64::MIN);
        for (from, until) in intervals {
            covered += (until - from.max(reached)).max(0);
            reached = reached.max(until);
        }
        let exclusive = own.duration_us.saturating_sub(covered.unsigned_abs());
        spent[at] = Some(Spent { exclusive_us: exclusive, ..own });
    }
    let roots = (0..rows.len()).filter(|at| rows[*at].depth == 0);
    let longest = roots.filter_map(|at| Some((spent[at]?.duration_us, std::cmp::Reverse(at)))).max();
    if let Some((_, std::cmp::Reverse(root))) = longest {
        walk(&mut spent, &children, root);
    }
    spent
}

fn seen_ns(row: &Row) -> Option<(u64, u64)> {
    let times = row.a.or(row.b)?.times?;
    Some((times.start_unix_ns, times.end_unix_ns))
}

fn times(row: &Row, first_ns: u64) -> Option<Spent> {
    let seen = row.a.or(row.b)?;
    let (start_us, duration_us) = match (seen.since, seen.times) {
        (Some(since), _) => (since.start_us, since.duration_us),
        (None, Some(times)) => (
            i64::try_from((times.start_unix_ns - first_ns) / 1_000).unwrap_or(i64::MAX),
            times.end_unix_ns.saturating_sub(times.start_unix_ns) / 1_000,
        ),
        (None, None) => return None,
    };
    let (start_us, duration_us) = (start_us.clamp(-MOST_US, MOST_US), duration_us.min(MOST_US.unsigned_abs()));
    Some(Spent { start_us, duration_us, ..Spent::default() })
}

/// By each row, which rows stand directly below it.
fn children(rows: &[Row]) -> Vec<Vec<usize>> {
    let (mut children, mut above) = (vec![Vec::new(); rows.len()], Vec::<usize>::new());
    for (at, row) in rows.iter().enumerate() {
        above.truncate(row.depth);
        if let Some(parent) = above.last() {
            children[*parent].push(at);
        }
        above.push(at);
    }
    children
}

fn end(spent: Spent) -> i64 {
    spent.start_us + spent.duration_us.cast_signed()
}

/// What children take of their parent's time.
fn intervals(spent: &[Option<Spent>], children: &[usize], parent: Spent) -> Vec<(i64, i64)> {
    let within = |child: Spent| (child.start_us.max(parent.start_us), end(child).min(end(parent)));
    children.iter().filter_map(|at| spent[*at].map(within)).filter(|(from, until)| from < until).collect()
}

fn walk(spent: &mut [Option<Spent>], children: &[Vec<usize>], root: usize) {
    let mut waiting = vec![(root, i64::MIN, i64::MAX)];
    // A row has one parent, so each is walked once at most.
    while let Some((at, from, until)) = waiting.pop() {
        let Some(own) = spent[at] else { continue };
        let (start, end_here) = (own.start_us.max(from), end(own).min(until));
        let mut below: Vec<usize> = children[at].iter().copied().filter(|child| spent[*child].is_some()).collect();
        below.sort_unstable_by_key(|child| (std::cmp::Reverse(spent[*child].map(end)), *child));
        let (mut reached, mut on_path) = (end_here, 0);
        for child in below {
            let Some(of_child) = spent[child] else { continue };
            let (child_start, child_end) = (of_child.start_us.max(start), end(of_child).min(end_here));
            if child_end <= reached && child_start < child_end {
                on_path += reached - child_end;
                reached = child_start;
                waiting.push((child, child_start, child_end));
            }
        }
        on_path += (reached - start).max(0);
        spent[at] = Some(Spent { on_path_us: Some(on_path.max(0).unsigned_abs()), ..own });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{By, Side, Since, Span, compare};
    use super::*;
    use model::SpanId;

    /// `span:parent@start+duration`; `exclusive/path` of each row.
    fn check(spans: &str, expect: &str) {
        let span = |word: &str| {
            let (span, rest) = word.split_once(':').unwrap();
            let (parent, rest) = rest.split_once('@').unwrap();
            let (start, duration) = rest.split_once('+').unwrap();
            let id = |number: &str| SpanId(number.parse::<u64>().unwrap().to_be_bytes());
            let since = Since { start_us: start.parse().unwrap(), duration_us: duration.parse().unwrap() };
            Span { span: id(span), parent: id(parent), since: Some(since), ..Span::default() }
        };
        let side = Side::new(spans.split_whitespace().map(span).collect()).unwrap();
        let rows = compare(&side, &side, By::Id).rows;
        let told: Vec<String> = spent(&rows)
            .into_iter()
            .flatten()
            .map(|it| {
                let path = it.on_path_us.map_or("-".to_owned(), |us| us.to_string());
                format!("{}/{path}", it.exclusive_us)
            })
            .collect();
        assert_eq!(told.join(" "), expect, "{spans}");
    }

    #[test]
    fn time_is_charged_where_it_is_spent() {
        check("1:0@0+100", "100/100");
        check("1:0@0+100 2:1@10+30 3:1@50+40", "30/30 30/30 40/40");
        // 2 and 3 overlap: nobody waited for 2 alone.
        check("1:0@0+100 2:1@10+50 3:1@20+70", "20/30 50/- 70/70");
        // A child that ends after its parent is cut off.
        check("1:0@0+100 2:1@50+500", "50/50 500/50");
        check("1:0@0+10 2:0@0+20", "10/- 20/20");
        check("", "");
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        check(
            &format!("1:0@{}+{} 2:1@{}+{}", i64::MIN, u64::MAX, i64::MAX, u64::MAX),
            "4503599627370496/4503599627370496 4503599627370496/-",
        );
    }
}
