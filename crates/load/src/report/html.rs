//! The page: a table and four pictures. No script, nothing from elsewhere; everything that is not ours is escaped.

use super::plot::{Plot, latency_over_time, not_acknowledged, percentiles, rates};
use super::{Report, TargetReport, grouped, rows};
use model::Environment;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;\
color:#1f2328;background:#fffffe}table{border-collapse:collapse}th,td{padding:.2em 1em .2em 0;text-align:right}\
th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}\
@media (prefers-color-scheme:dark){body{color:#e6edf2;background:#0d1117}}";

pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    let name = escaped(&report.name);
    // Writing into a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Load: {name}</title><style>{STYLE}</style></head>\
         <body><h1>Load: {name}</h1>\n<p>{} The first {} s are left out of the figures.</p>\n",
        if report.open_loop {
            "Open loop: latencies are measured from when a request was due, so what waited for a slow target is in them."
        } else {
            "Closed loop: as fast as is taken. These latencies say nothing of what senders see."
        },
        report.warm_up_ms as f64 / 1e3,
    );
    if let Some(trouble) = &report.trouble {
        let _ = writeln!(page, "<p><strong>{}</strong></p>", escaped(trouble));
    }
    table(report, &mut page);
    let pictures: [fn(&Report) -> Plot; 4] = [latency_over_time, percentiles, rates, not_acknowledged];
    for picture in pictures {
        let _ = writeln!(page, "<figure>{}</figure>", picture(report).svg());
    }
    page.push_str("</body></html>\n");
    page
}

fn table(report: &Report, page: &mut String) {
    let targets: Vec<(Environment, &TargetReport)> =
        Environment::BOTH.into_iter().filter_map(|one| Some((one, report.targets[one].as_ref()?))).collect();
    page.push_str("<table>\n");
    let mut row = |name: &str, cell: &str, values: &[String]| {
        let _ = write!(page, "<tr><{cell}>{name}</{cell}>");
        for value in values {
            let _ = write!(page, "<{cell}>{}</{cell}>", escaped(value));
        }
        page.push_str("</tr>\n");
    };
    let of = |value: &dyn Fn(Environment, &TargetReport) -> String| -> Vec<String> {
        targets.iter().map(|(environment, target)| value(*environment, target)).collect()
    };
    row("", "th", &of(&|environment, _| environment.name().to_owned()));
    row("endpoint", "td", &of(&|_, target| target.endpoint.clone()));
    row("offered, spans/s", "td", &of(&|environment, _| grouped(report.sustained_items_per_s(environment) as u64)));
    for (name, value) in rows() {
        row(name, "td", &of(&|_, target| value(target)));
    }
    let codes = |target: &TargetReport| {
        let codes: Vec<String> = target.codes.iter().map(|(code, count)| format!("{code} × {count}")).collect();
        if codes.is_empty() { "none".to_owned() } else { codes.join(", ") }
    };
    row("codes of refusals", "td", &of(&|_, target| codes(target)));
    row("no connection", "td", &of(&|_, target| target.disconnection.clone().unwrap_or_else(|| "never".to_owned())));
    page.push_str("</table>\n");
}

pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
