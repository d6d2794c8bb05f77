//! Two traces that have no span in common: spans are held against each other by where they stand.

use super::layout::{Link, Placed, lay_out};
use super::pair::{Node, alone};
use super::{Difference, Span, Stands, content, links};
use std::collections::BTreeMap;

/// A node of both sides together.
pub(super) struct Joined {
    pub(super) node: Node,
    /// The node above it, among those that were joined.
    pub(super) link: Link,
    /// Why it stands where it does, on the side where it was found first.
    pub(super) stands: Stands,
}

/// Roots are held against roots of the same service, name and kind, in the order of their starts, and below each pair the
/// children likewise. What finds no counterpart has none in all that is below it. In the order in which siblings are shown.
pub(super) fn join(a: &[Span], b: &[Span]) -> Vec<Joined> {
    let (a, b) = (Forest::of(a), Forest::of(b));
    let mut joined = Vec::new();
    // Levels of both trees that belong together; each span is in one of them, so that this ends.
    let mut levels = vec![(Link::None, a.roots.clone(), b.roots.clone())];
    while let Some((link, of_a, of_b)) = levels.pop() {
        for (at_a, at_b) in counterparts((&a, of_a), (&b, of_b)) {
            let (in_a, in_b) = (at_a.map(|at| &a.trees[at]), at_b.map(|at| &b.trees[at]));
            let below = |tree: Option<&Tree>| tree.map(|tree| tree.children.clone()).unwrap_or_default();
            levels.push((Link::To(joined.len()), below(in_a), below(in_b)));
            let stands = in_a.or(in_b).map_or(Stands::Root, |tree| tree.stands);
            let span = |tree: Option<&Tree>| tree.map(|tree| tree.span).into_iter().collect();
            joined.push(Joined { node: Node { a: span(in_a), b: span(in_b) }, link, stands });
        }
    }
    joined
}

/// A span with those below it, by their places in [`Forest::trees`].
struct Tree {
    span: usize,
    stands: Stands,
    children: Vec<usize>,
}

struct Forest<'s> {
    spans: &'s [Span],
    trees: Vec<Tree>,
    roots: Vec<usize>,
}

impl Forest<'_> {
    fn of(spans: &[Span]) -> Forest<'_> {
        let nodes = alone(spans);
        let mut forest = Forest { spans, trees: Vec::with_capacity(nodes.len()), roots: Vec::new() };
        let mut above: Vec<usize> = Vec::new();
        for Placed { node, depth, stands, .. } in lay_out(&links(&nodes, spans, &[])) {
            let at = forest.trees.len();
            above.truncate(depth);
            match above.last() {
                Some(parent) => forest.trees[*parent].children.push(at),
                None => forest.roots.push(at),
            }
            above.push(at);
            forest.trees.push(Tree { span: nodes[node].a[0], stands, children: Vec::new() });
        }
        forest
    }
}

/// What can differ of two spans that are not the same one.
pub(super) fn differences(node: &Node, a: &[Span], b: &[Span]) -> Vec<Difference> {
    let (a, b) = match (node.a.first(), node.b.first()) {
        (Some(at_a), Some(at_b)) => (&a[*at_a], &b[*at_b]),
        (Some(_), None) => return vec![Difference::Lost],
        (None, _) => return vec![Difference::Fabricated],
    };
    let mut found = Vec::new();
    content(a, b, &mut found);
    found.retain(|difference| match difference {
        Difference::Status { .. } | Difference::Missing { .. } | Difference::Added { .. } => true,
        Difference::Lost
        | Difference::Fabricated
        | Difference::Duplicated { .. }
        | Difference::FewerCopies { .. }
        | Difference::Reparented { .. }
        | Difference::Orphan { .. }
        | Difference::Kind { .. }
        | Difference::Operation { .. }
        | Difference::Start { .. }
        | Difference::End { .. }
        | Difference::Changed { .. } => false,
    });
    found
}

type Level<'f, 's> = (&'f Forest<'s>, Vec<usize>);

/// The trees of both levels, each once, with their counterparts: first those of `a` in their order, then what `b` alone has.
fn counterparts((a, of_a): Level<'_, '_>, (b, of_b): Level<'_, '_>) -> Vec<(Option<usize>, Option<usize>)> {
    let name = |forest: &Forest<'_>, at: usize| {
        let span = &forest.spans[forest.trees[at].span];
        (span.service.clone(), span.operation.clone(), span.kind)
    };
    let mut waiting: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for at in of_b.into_iter().rev() {
        waiting.entry(name(b, at)).or_default().push(at);
    }
    let mut pairs: Vec<(Option<usize>, Option<usize>)> = Vec::new();
    for at in of_a {
        pairs.push((Some(at), waiting.get_mut(&name(a, at)).and_then(Vec::pop)));
    }
    let mut rest: Vec<usize> = waiting.into_values().flatten().collect();
    rest.sort_unstable();
    pairs.extend(rest.into_iter().map(|at| (None, Some(at))));
    pairs
}
