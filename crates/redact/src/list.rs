//! Lists of members: W3C Baggage (`user=a%40b.org;property=1,plan=gold`) and W3C `tracestate`. Each member's own name is the
//! context of its value. A tag (`[email]`) may stand in either.

/// The list with the values that `edit` changes, given name and value; nothing if it changes none.
pub(crate) fn edit(list: &str, mut edit: impl FnMut(&str, &str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    for part in list.split_inclusive([',', ';']) {
        let member = part.trim_end_matches([',', ';']);
        if let Some((name, value)) = member.split_once('=')
            && let Some(edited) = edit(name.trim(), value.trim())
        {
            let start = at + name.len() + 1 + (value.len() - value.trim_start().len());
            out.push_str(&list[copied..start]);
            out.push_str(&edited);
            copied = start + value.trim().len();
        }
        at += part.len();
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&list[copied..]);
    Some(out)
}
