//! The same as SVG, drawn by plotters. Colours come in pairs, and a style sheet in the picture takes the second ones where
//! the reader's screen is dark; what knows no such style sheet shows the light ones on their own paper.

use super::letters::{number, percent};
use super::{Axis, Curve, Panel, Plot, rounded_up};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Write as _;

const WIDTH: u32 = 860;
const PANEL_HEIGHT: u32 = 270;
const HEAD: u32 = 58;
const LEGEND_LINE: u32 = 22;
const FOOT: u32 = 14;

/// On a light and on a dark screen.
type Pair = ([u8; 3], [u8; 3]);

const PAPER: Pair = ([0xff, 0xff, 0xfe], [0x0d, 0x11, 0x17]);
const INK: Pair = ([0x1f, 0x23, 0x28], [0xe6, 0xed, 0xf2]);
const FAINT_INK: Pair = ([0x59, 0x63, 0x6e], [0x9d, 0xa7, 0xb3]);
const GRID: Pair = ([0xe3, 0xe7, 0xeb], [0x2a, 0x30, 0x38]);

/// Okabe & Ito's colours, which people with a colour vision deficiency can tell apart, a little darker on white and
/// lighter on black. One for each curve; there are at most nine.
const CURVES: [Pair; 9] = [
    ([0x1b, 0x7f, 0x74], [0x4f, 0xd1, 0xc1]),
    ([0xc0, 0x4e, 0x01], [0xff, 0x93, 0x4a]),
    ([0x0a, 0x66, 0xa8], [0x5a, 0xb0, 0xf0]),
    ([0xa8, 0x3f, 0x7c], [0xe4, 0x8c, 0xc0]),
    ([0x8a, 0x6d, 0x00], [0xe3, 0xc0, 0x3c]),
    ([0x5b, 0x4b, 0xb5], [0xa7, 0x9b, 0xf5]),
    ([0x3f, 0x77, 0x1f], [0x8f, 0xca, 0x6a]),
    ([0x9c, 0x2f, 0x2f], [0xf0, 0x86, 0x86]),
    ([0x4d, 0x55, 0x5e], [0xb5, 0xbe, 0xc8]),
];

fn colour((light, _): Pair) -> RGBColor {
    RGBColor(light[0], light[1], light[2])
}

fn hex(rgb: [u8; 3]) -> String {
    rgb.iter().fold("#".to_owned(), |text, part| text + &format!("{part:02X}"))
}

impl Plot {
    /// The picture's text.
    pub fn svg(&self) -> String {
        let curves = self.panels.first().map_or(0, |panel| panel.curves.len());
        let legend = LEGEND_LINE * curves.div_ceil(2) as u32;
        let height = HEAD + legend + PANEL_HEIGHT * self.panels.len() as u32 + FOOT;
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            self.draw(&root, HEAD + legend).expect("a text takes all that is drawn on it");
            root.present().expect("a text takes all that is drawn on it");
        }
        with_dark_colours(&svg)
    }

    fn draw(&self, root: &DrawingArea<SVGBackend<'_>, Shift>, top: u32) -> Result<(), Failed> {
        root.fill(&colour(PAPER))?;
        let (ink, faint_ink) = (colour(INK), colour(FAINT_INK));
        let text = |size: f64, ink| {
            TextStyle::from(("sans-serif", size).into_font()).color(ink).pos(Pos::new(HPos::Left, VPos::Top))
        };
        root.draw_text(&self.title, &text(17.0, &ink), (20, 14))?;
        root.draw_text(&self.subtitle, &text(12.0, &faint_ink), (20, 38))?;
        let (_, below) = root.split_vertically(top);
        let (panels, _) = below.split_vertically(PANEL_HEIGHT * self.panels.len() as u32);
        for (panel, area) in self.panels.iter().zip(panels.split_evenly((self.panels.len(), 1))) {
            panel_into(&area, panel, &self.axis)?;
        }
        for (index, curve) in self.panels.first().iter().flat_map(|panel| panel.curves.iter().enumerate()) {
            let (column, row) = (index % 2, index / 2);
            let (x, y) = (20 + column as i32 * 410, HEAD as i32 + row as i32 * LEGEND_LINE as i32 + 8);
            let line = colour(CURVES[index % CURVES.len()]).stroke_width(3);
            root.draw(&PathElement::new(vec![(x, y - 3), (x + 26, y - 3)], line))?;
            root.draw_text(&curve.label, &text(13.0, &ink), (x + 34, y - 8))?;
        }
        Ok(())
    }
}

type Failed = DrawingAreaErrorKind<std::io::Error>;

fn panel_into(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel, axis: &Axis) -> Result<(), Failed> {
    let (end, _) = rounded_up(axis.end);
    let small = |ink: Pair| ("sans-serif", 12).into_font().color(&colour(ink));
    // So near to the axis a line would show nothing.
    let promised = panel.promised.filter(|promised| (0.02 * panel.top..=panel.top).contains(promised));
    let dashed = if promised.is_some() { " (dashed: what the plan allows)" } else { "" };
    let mut chart = ChartBuilder::on(area)
        .margin_left(14)
        .margin_right(26)
        .margin_top(8)
        .caption(format!("{}{dashed}", panel.title), ("sans-serif", 14).into_font().color(&colour(INK)))
        .x_label_area_size(42)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..end, 0.0..panel.top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(colour(GRID))
        .axis_style(colour(FAINT_INK))
        .y_labels(6)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|share| percent(*share))
        .x_desc(&axis.label)
        .axis_desc_style(small(FAINT_INK))
        .label_style(small(FAINT_INK))
        .draw()?;
    if let Some(promised) = promised {
        let line = [(0.0, promised), (end, promised)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, colour(FAINT_INK).stroke_width(1)))?;
    }
    for (index, curve) in panel.curves.iter().enumerate().rev() {
        let line = colour(CURVES[index % CURVES.len()]).stroke_width(2);
        chart.draw_series(LineSeries::new(staircase(curve, end, panel.top), line))?;
    }
    Ok(())
}

/// The corners of the curve. Steps that would fall on one of the picture's columns are one, so that thousands of runs
/// make no larger picture than hundreds.
fn staircase(curve: &Curve, end: f64, top: f64) -> Vec<(f64, f64)> {
    let mut corners = vec![(0.0, 0.0)];
    let mut share = 0.0;
    for column in 0..=WIDTH {
        let x = end * f64::from(column) / f64::from(WIDTH);
        let next = curve.share_at(x).min(top);
        if next != share {
            corners.extend([(x, share), (x, next)]);
            share = next;
        }
    }
    corners.push((end, share));
    corners
}

/// Each colour of the picture has its other one behind a media query. A presentation attribute yields to any rule.
fn with_dark_colours(svg: &str) -> String {
    let mut style = String::from("<style>@media (prefers-color-scheme: dark) {");
    for (light, dark) in [PAPER, INK, FAINT_INK, GRID].into_iter().chain(CURVES) {
        let (light, dark) = (hex(light), hex(dark));
        // Writing into a string cannot fail.
        let _ = write!(style, "[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}");
    }
    style.push_str("}</style>\n");
    let head = svg.find('>').map_or(0, |end| end + 1);
    format!("{}\n{style}{}", &svg[..head], svg[head..].trim_start())
}
