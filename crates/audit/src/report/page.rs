//! A page of HTML under construction: text from anywhere is escaped here, and nowhere else is markup written but in the chart.

use std::fmt::{self, Write as _};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .5rem;border-bottom:1px solid #d0d7de}h3{font-size:1rem;margin:1.2rem 0 .3rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #eaeef2;overflow-wrap:anywhere}
th{font-weight:600;overflow-wrap:normal}td.n{white-space:nowrap;font-variant-numeric:tabular-nums;overflow-wrap:normal}td.d{font:13px ui-monospace,monospace}
p{margin:.4rem 0}.good{color:#116329}.bad{color:#a40e26}.quiet{color:#57606a}p.outcome{font-size:1.15rem;font-weight:600}
svg{display:block;width:100%;height:auto;margin:.6rem 0}svg text{font:12px system-ui,sans-serif;fill:currentColor}
.frame{fill:none;stroke:#d0d7de}.line{fill:none;stroke:#116329;stroke-width:2}.area{fill:#116329;fill-opacity:.12}.mark{stroke:#a40e26;stroke-dasharray:4 3}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h2,th,td{border-color:#30363d}.good{color:#56d364}.bad{color:#ff7b72}.quiet{color:#8b949e}.frame{stroke:#30363d}.line{stroke:#56d364}.area{fill:#56d364}.mark{stroke:#ff7b72}}
@page{margin:14mm}@media print{html{font-size:10.5px}body{margin:0;padding:0;max-width:none;font-size:10px;color:#000;background:#fff}h2,th,td{border-color:#bbb}td.d{font-size:9px}tr,svg{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}.good{color:#116329}.bad{color:#a40e26}.quiet{color:#444}.frame{stroke:#bbb}.line{stroke:#116329}.area{fill:#116329}.mark{stroke:#a40e26}}";

/// Text from anywhere, as it stands in HTML.
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                control if control.is_control() => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A page. Writing to a string cannot fail.
pub(super) struct Page(String);

impl Page {
    pub(super) fn titled(title: &str) -> Page {
        Page(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
            Escaped(title)
        ))
    }

    pub(super) fn finished(mut self) -> String {
        self.0.push_str("</body></html>\n");
        self.0
    }

    pub(super) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", Escaped(text));
    }

    pub(super) fn subheading(&mut self, text: &str) {
        let _ = writeln!(self.0, "<h3>{}</h3>", Escaped(text));
    }

    /// A paragraph of a class of the style.
    pub(super) fn paragraph(&mut self, class: &'static str, text: &str) {
        let _ = writeln!(self.0, "<p class=\"{class}\">{}</p>", Escaped(text));
    }

    /// What a reader must know of the part that follows.
    pub(super) fn remark(&mut self, text: &str) {
        self.paragraph("quiet", text);
    }

    pub(super) fn none(&mut self) {
        self.remark("None.");
    }

    pub(super) fn head(&mut self, columns: &[&str]) {
        let cells: String =
            columns.iter().map(|column| format!("<th scope=\"col\">{}</th>", Escaped(column))).collect();
        let _ = writeln!(self.0, "<table><thead><tr>{cells}</tr></thead><tbody>");
    }

    /// A row of text; those columns before `text_from` are numbers and moments, and are not broken.
    pub(super) fn row(&mut self, text_from: usize, cells: &[&str]) {
        let cells = cells.iter().enumerate().map(|(at, cell)| {
            let class = match cell {
                digest if digest.starts_with("sha256:") && !digest.contains(' ') => " class=\"d\"",
                _ if at < text_from => " class=\"n\"",
                _ => "",
            };
            format!("<td{class}>{}</td>", Escaped(cell))
        });
        let _ = writeln!(self.0, "<tr>{}</tr>", cells.collect::<String>());
    }

    /// A table of names and what they are.
    pub(super) fn facts(&mut self) {
        self.0.push_str("<table><tbody>\n");
    }

    pub(super) fn end(&mut self) {
        self.0.push_str("</tbody></table>\n");
    }

    /// A drawing, whose texts were escaped.
    pub(super) fn drawing(&mut self, svg: &str) {
        self.0.push_str(svg);
    }
}
