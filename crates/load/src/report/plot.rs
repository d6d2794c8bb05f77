//! Pictures of a run as SVG, drawn by plotters: blue beside green.

use super::{Report, TargetReport};
use crate::quantiles::quantile;
use crate::tally::Second;
use model::Environment;
use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::{Shift, types::RangedCoordf64};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 860;
const HEIGHT: u32 = 330;
/// A curve has no more points than the picture has columns.
const MAX_POINTS: usize = WIDTH as usize;

/// Colours in pairs: on a light and on a dark screen.
type Pair = ([u8; 3], [u8; 3]);

const PAPER: Pair = ([0xff, 0xff, 0xfe], [0x0d, 0x11, 0x17]);
const INK: Pair = ([0x1f, 0x23, 0x28], [0xe6, 0xed, 0xf2]);
const FAINT_INK: Pair = ([0x59, 0x63, 0x6e], [0x9d, 0xa7, 0xb3]);
const GRID: Pair = ([0xe3, 0xe7, 0xeb], [0x2a, 0x30, 0x38]);
/// Two of each environment. Light ones are also thinner, so that the pairs differ without colours too.
const BLUE: [Pair; 2] = [([0x0a, 0x66, 0xa8], [0x5a, 0xb0, 0xf0]), ([0x7f, 0xb3, 0xd9], [0x2f, 0x6d, 0x9c])];
const GREEN: [Pair; 2] = [([0x3f, 0x77, 0x1f], [0x8f, 0xca, 0x6a]), ([0x9c, 0xc7, 0x84], [0x56, 0x84, 0x3c])];

/// A picture.
pub(super) struct Plot {
    title: &'static str,
    x: &'static str,
    logarithmic: bool,
    x_words: fn(&f64) -> String,
    y_words: fn(&f64) -> String,
    curves: Vec<Curve>,
}

struct Curve {
    label: String,
    colour: Pair,
    thick: bool,
    points: Vec<(f64, f64)>,
}

type Failed = DrawingAreaErrorKind<std::io::Error>;

/// The median and the 99th percentile of each second.
pub(super) fn latency_over_time(report: &Report) -> Plot {
    let at = |at: f64| {
        move |second: &Second| {
            let count = second.latency.iter().map(|(_, count)| count).sum();
            Some(quantile(second.latency.iter().copied(), count, at)? as f64 / 1e3)
        }
    };
    let curves = each(report, |target, colours, name| {
        vec![
            Curve::over_time(format!("{name} p99"), colours[0], true, target, at(0.99)),
            Curve::over_time(format!("{name} p50"), colours[1], false, target, at(0.5)),
        ]
    });
    let title = "Latency from when requests were due";
    Plot { title, x: "seconds since the start", logarithmic: true, x_words: number, y_words: milliseconds, curves }
}

/// Latencies, and service times as a closed loop would show them, by quantile.
pub(super) fn percentiles(report: &Report) -> Plot {
    /// Five nines at the right.
    const STEPS: u32 = 250;
    let points = |buckets: &[(u64, u64)], count: u64| -> Vec<(f64, f64)> {
        let share = |step: u32| 1.0 - 10f64.powf(-f64::from(step) / 50.0);
        // No quantile is shown that one request alone would make.
        let steps = (0..=STEPS).filter(|step| (1.0 - share(*step)) * count as f64 >= 1.0);
        let point = |step| {
            let us = quantile(buckets.iter().copied(), count, share(step))?;
            Some((f64::from(step) / 50.0, us as f64 / 1e3))
        };
        steps.filter_map(point).collect()
    };
    let curves = each(report, |target, colours, name| {
        let curve = |label, colour, thick, of: &crate::Distribution| Curve {
            label,
            colour,
            thick,
            points: points(&of.buckets, of.count),
        };
        vec![
            curve(format!("{name}, from when due"), colours[0], true, &target.latency),
            curve(format!("{name}, from when sent"), colours[1], false, &target.service),
        ]
    });
    let x_words = |nines: &f64| format!("{}%", number(&(100.0 * (1.0 - 10f64.powf(-*nines)))));
    Plot { title: "Latency by percentile", x: "percentile", logarithmic: true, x_words, y_words: milliseconds, curves }
}

/// Spans that were due and that were acknowledged.
pub(super) fn rates(report: &Report) -> Plot {
    let curves = each(report, |target, colours, name| {
        let due = |second: &Second| Some(second.counts.due.items as f64);
        let taken = |second: &Second| Some(second.counts.taken_items() as f64);
        vec![
            Curve::over_time(format!("{name} acknowledged"), colours[0], true, target, taken),
            Curve::over_time(format!("{name} due"), colours[1], false, target, due),
        ]
    });
    let title = "Spans a second";
    Plot { title, x: "seconds since the start", logarithmic: false, x_words: number, y_words: number, curves }
}

/// Spans that were due and not acknowledged.
pub(super) fn not_acknowledged(report: &Report) -> Plot {
    let curves = each(report, |target, colours, name| {
        let missed = |second: &Second| Some(second.counts.missed_items() as f64);
        let sent = |second: &Second| Some(second.counts.not_sent.items as f64);
        vec![
            Curve::over_time(format!("{name} not acknowledged"), colours[0], true, target, missed),
            Curve::over_time(format!("{name} not sent in time"), colours[1], false, target, sent),
        ]
    });
    let title = "Spans a second that were not acknowledged";
    Plot { title, x: "seconds since the start", logarithmic: false, x_words: number, y_words: number, curves }
}

fn each(report: &Report, curves: impl Fn(&TargetReport, [Pair; 2], &str) -> Vec<Curve>) -> Vec<Curve> {
    let of = |environment: Environment| {
        let colours = match environment {
            Environment::Blue => BLUE,
            Environment::Green => GREEN,
        };
        report.targets[environment].as_ref().map(|target| curves(target, colours, environment.name()))
    };
    Environment::BOTH.into_iter().filter_map(of).flatten().collect()
}

impl Curve {
    fn over_time(
        label: String,
        colour: Pair,
        thick: bool,
        target: &TargetReport,
        value: impl Fn(&Second) -> Option<f64>,
    ) -> Curve {
        // Of a long run the worst second of each column is shown.
        let each = target.seconds.len().div_ceil(MAX_POINTS).max(1);
        let points = target.seconds.chunks(each).enumerate().filter_map(|(index, seconds)| {
            let worst = seconds.iter().filter_map(&value).max_by(f64::total_cmp)?;
            Some(((index * each) as f64, worst))
        });
        Curve { label, colour, thick, points: points.collect() }
    }
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            self.draw(&root).expect("a text takes all that is drawn on it");
            root.present().expect("a text takes all that is drawn on it");
        }
        with_dark_colours(&svg)
    }

    fn draw(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Failed> {
        root.fill(&colour(PAPER))?;
        let ink = colour(INK);
        let style = |size: i32| {
            TextStyle::from(("sans-serif", size).into_font()).color(&ink).pos(Pos::new(HPos::Left, VPos::Top))
        };
        root.draw_text(self.title, &style(16), (14, 8))?;
        for (index, curve) in self.curves.iter().enumerate() {
            let x = 14 + index as i32 * 205;
            root.draw(&PathElement::new(vec![(x, 40), (x + 22, 40)], curve.line()))?;
            root.draw_text(&curve.label, &style(12), (x + 28, 34))?;
        }
        let (_, area) = root.split_vertically(54);
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let top = points().map(|(_, y)| *y).fold(if self.logarithmic { 0.1 } else { 1.0 }, f64::max) * 1.1;
        if self.logarithmic {
            let low = points().map(|(_, y)| *y).fold(top / 10.0, f64::min).max(1e-3) * 0.9;
            let mut chart = builder(&area).build_cartesian_2d(0.0..right, (low..top).log_scale())?;
            self.mesh(chart.configure_mesh())?;
            for curve in &self.curves {
                chart.draw_series(LineSeries::new(curve.points.iter().copied(), curve.line()))?;
            }
        } else {
            let mut chart = builder(&area).build_cartesian_2d(0.0..right, 0.0..top)?;
            self.mesh(chart.configure_mesh())?;
            for curve in &self.curves {
                chart.draw_series(LineSeries::new(curve.points.iter().copied(), curve.line()))?;
            }
        }
        Ok(())
    }

    fn mesh<'b, Y>(&'b self, mut mesh: MeshStyle<'_, 'b, RangedCoordf64, Y, SVGBackend<'_>>) -> Result<(), Failed>
    where
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let small = ("sans-serif", 12).into_font().color(&colour(FAINT_INK));
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(colour(GRID))
            .axis_style(colour(FAINT_INK))
            .x_label_formatter(&self.x_words)
            .y_label_formatter(&self.y_words)
            .x_desc(self.x)
            .axis_desc_style(small.clone())
            .label_style(small)
            .draw()
    }
}

fn builder<'a, 'b>(area: &'a DrawingArea<SVGBackend<'b>, Shift>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin_left(10).margin_right(24).margin_top(8).x_label_area_size(40).y_label_area_size(64);
    builder
}

impl Curve {
    fn line(&self) -> ShapeStyle {
        colour(self.colour).stroke_width(if self.thick { 2 } else { 1 })
    }
}

/// As many digits as a reader needs.
fn number(value: &f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn milliseconds(value: &f64) -> String {
    format!("{} ms", number(value))
}

fn colour((light, _): Pair) -> RGBColor {
    RGBColor(light[0], light[1], light[2])
}

fn hex(rgb: [u8; 3]) -> String {
    rgb.iter().fold("#".to_owned(), |text, part| text + &format!("{part:02X}"))
}

/// Each colour has its other one behind a media query. A presentation attribute yields to any rule.
fn with_dark_colours(svg: &str) -> String {
    let mut style = String::from("<style>@media (prefers-color-scheme: dark) {");
    for (light, dark) in [PAPER, INK, FAINT_INK, GRID].into_iter().chain(BLUE).chain(GREEN) {
        let (light, dark) = (hex(light), hex(dark));
        style += &format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}");
    }
    style.push_str("}</style>\n");
    let head = svg.find('>').map_or(0, |end| end + 1);
    format!("{}\n{style}{}", &svg[..head], svg[head..].trim_start())
}
