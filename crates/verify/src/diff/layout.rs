//! The order in which a tree is read, and how deep each of its nodes stands; whatever the links are.

use super::Stands;

/// A node's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It has none.
    None,
    /// It has one that is not among the nodes.
    Absent,
    /// This node.
    To(usize),
}

/// A node in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) node: usize,
    pub(super) depth: usize,
    pub(super) is_last: bool,
    pub(super) stands: Stands,
}

/// Every node once, parents before their children, siblings in the nodes' own order. Trees come first, then what hangs on
/// loops: each is cut at that node of it which comes first.
pub(super) fn lay_out(links: &[Link]) -> Vec<Placed> {
    let mut children = vec![Vec::new(); links.len()];
    for (node, link) in links.iter().enumerate() {
        if let Link::To(parent) = link {
            children[*parent].push(node);
        }
    }
    let mut walk = Walk { children, placed: Vec::with_capacity(links.len()), is_placed: vec![false; links.len()] };
    for (node, link) in links.iter().enumerate() {
        match link {
            Link::None => walk.descend(node, Stands::Root),
            Link::Absent => walk.descend(node, Stands::WithoutParent),
            Link::To(_) => {}
        }
    }
    // What is left leads into a loop; whoever hangs on the loop is placed with it, so that each is walked once.
    let mut walked_from = vec![usize::MAX; links.len()];
    for node in 0..links.len() {
        if !walk.is_placed[node] {
            walk.descend(first_of_loop(links, node, &mut walked_from), Stands::Loop);
        }
    }
    walk.placed
}

struct Walk {
    children: Vec<Vec<usize>>,
    placed: Vec<Placed>,
    is_placed: Vec<bool>,
}

impl Walk {
    fn descend(&mut self, from: usize, stands: Stands) {
        let mut waiting = vec![Placed { node: from, depth: 0, is_last: true, stands }];
        self.is_placed[from] = true;
        while let Some(placed) = waiting.pop() {
            self.placed.push(placed);
            // The last one goes onto the stack first. Placed before are the beginning of a loop, and nothing else.
            let below = std::mem::take(&mut self.children[placed.node]);
            let mut is_last = true;
            for node in below.into_iter().rev() {
                if std::mem::replace(&mut self.is_placed[node], true) {
                    continue;
                }
                waiting.push(Placed { node, depth: placed.depth + 1, is_last, stands: Stands::Child });
                is_last = false;
            }
        }
    }
}

fn first_of_loop(links: &[Link], start: usize, walked_from: &mut [usize]) -> usize {
    let up = |node: usize| match links[node] {
        Link::To(parent) => parent,
        Link::None | Link::Absent => unreachable!("what has such a parent was placed, and all that is below it"),
    };
    let mut on_loop = start;
    while walked_from[on_loop] != start {
        walked_from[on_loop] = start;
        on_loop = up(on_loop);
    }
    let (mut first, mut node) = (on_loop, up(on_loop));
    while node != on_loop {
        first = first.min(node);
        node = up(node);
    }
    first
}
