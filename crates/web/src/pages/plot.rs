//! A small plot as SVG within a page: axes and lines by plotters, and everything that a style sheet decides (colours, dashes,
//! dark or light) by `style.css`, which finds the lines by the colours given here. A presentation attribute yields to any
//! rule, and the page's policy allows no style within it.

use maud::{Markup, PreEscaped, html};
use model::Environment;
use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// About as wide as a column of the page, so that letters are as large as drawn.
const SIZE: (u32, u32) = (440, 200);

/// What a line is of. `style.css` knows each by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Blue,
    Green,
    Against,
    For,
    /// What is ordered, or what a line is held against.
    Limit,
}

const AXIS: RGBColor = RGBColor(0x56, 0x60, 0x6a);
const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);

impl Ink {
    /// Of what is one environment's.
    pub(super) fn of(environment: Environment) -> Ink {
        match environment {
            Environment::Blue => Ink::Blue,
            Environment::Green => Ink::Green,
        }
    }

    fn colour(self) -> RGBColor {
        match self {
            Ink::Blue => RGBColor(0x1f, 0x62, 0xb5),
            Ink::Green => RGBColor(0x0f, 0x7a, 0x53),
            Ink::Against => RGBColor(0xb3, 0x26, 0x1e),
            Ink::For => RGBColor(0x3f, 0x77, 0x1f),
            Ink::Limit => RGBColor(0x1b, 0x21, 0x26),
        }
    }

    /// The class of its mark in a legend.
    pub(super) fn class(self) -> &'static str {
        match self {
            Ink::Blue => "ink-blue",
            Ink::Green => "ink-green",
            Ink::Against => "ink-against",
            Ink::For => "ink-for",
            Ink::Limit => "ink-limit",
        }
    }
}

/// A line; where a value is not known it is interrupted.
pub(super) struct Line {
    pub(super) ink: Ink,
    /// In pixels; of lines of one ink the thicker one is the more telling.
    pub(super) width: u32,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// How the values stand on the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// To the highest value, but at least and at most to where it is said.
    Linear { from: f64, at_least: f64, at_most: f64 },
    /// Logarithmic, of whole decades.
    Logarithmic,
}

/// A plot.
pub(super) struct Plot {
    /// What is to be seen, for whoever hears the page.
    pub(super) says: String,
    pub(super) scale: Scale,
    /// A value of the vertical axis in words.
    pub(super) words: fn(&f64) -> String,
    /// The end of the horizontal axis, which begins at 0.
    pub(super) end: f64,
    /// A time on the horizontal axis at which something was decided.
    pub(super) mark: Option<f64>,
    pub(super) lines: Vec<Line>,
    pub(super) limits: Vec<f64>,
}

type Path = PathElement<(f64, f64)>;
type Dot = Circle<(f64, f64), i32>;
type Failed = DrawingAreaErrorKind<std::io::Error>;

impl Plot {
    /// The picture as an element of a page.
    pub(super) fn draw(&self) -> Markup {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw_into(&root).expect("a text takes all that is drawn on it");
            root.present().expect("a text takes all that is drawn on it");
        }
        // Its own head gives the picture a fixed size.
        let inner = svg.split_once("<svg").and_then(|(_, rest)| rest.split_once('>')).map_or("", |(_, inner)| inner);
        let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or_default();
        let view = format!("0 0 {} {}", SIZE.0, SIZE.1);
        html! { svg.chart viewBox=(view) role="img" aria-label=(self.says) { (PreEscaped(lean(inner))) } }
    }

    fn draw_into(&self, root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), Failed> {
        let end = if self.end > 0.0 { self.end } else { 1.0 };
        let values = || self.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
        let mut builder = ChartBuilder::on(root);
        builder.margin(6).margin_right(14).x_label_area_size(24).y_label_area_size(58);
        match self.scale {
            Scale::Linear { from, at_least, at_most } => {
                let highest = values().chain(self.limits.iter().copied()).fold(0.0, f64::max);
                let top = (highest * 1.08).max(at_least).min(at_most);
                let mut chart = builder.build_cartesian_2d(0.0..end, from..top)?;
                self.mesh(chart.configure_mesh())?;
                let within = |value: f64| value.clamp(from, top);
                chart.draw_series(self.limits.iter().map(|limit| across(end, within(*limit))))?;
                chart.draw_series(
                    self.mark.map(|at| PathElement::new(vec![(at, from), (at, top)], Ink::Limit.colour())),
                )?;
                let (paths, dots) = self.paths(within);
                chart.draw_series(paths)?;
                chart.draw_series(dots)?;
            }
            Scale::Logarithmic => {
                let positive = || values().filter(|value| *value > 0.0);
                let (low, high) = (positive().fold(f64::MAX, f64::min), positive().fold(f64::MIN_POSITIVE, f64::max));
                let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
                let decade = |exponent: f64| 10f64.powf(exponent);
                let (low, high) = (decade(low.log10().floor()), decade((high.log10() + 0.01).ceil()));
                let mut chart = builder.build_cartesian_2d(0.0..end, (low..high).log_scale())?;
                self.mesh(chart.configure_mesh())?;
                chart.draw_series(
                    self.mark.map(|at| PathElement::new(vec![(at, low), (at, high)], Ink::Limit.colour())),
                )?;
                let (paths, dots) = self.paths(|value| value.clamp(low, high));
                chart.draw_series(paths)?;
                chart.draw_series(dots)?;
            }
        }
        Ok(())
    }

    fn mesh<'p, Y>(&'p self, mut mesh: MeshStyle<'p, '_, RangedCoordf64, Y, SVGBackend<'_>>) -> Result<(), Failed>
    where
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        mesh.disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(AXIS)
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|seconds| clock(*seconds))
            .y_label_formatter(&self.words)
            .label_style(("sans-serif", 14).into_font().color(&AXIS))
            .draw()
    }

    /// The lines, in as many parts as there are gaps; a part of one point is a dot.
    fn paths(&self, within: impl Fn(f64) -> f64) -> (Vec<Path>, Vec<Dot>) {
        let (mut paths, mut dots) = (Vec::new(), Vec::new());
        for line in &self.lines {
            let colour = line.ink.colour();
            for part in line.points.split(|(_, value)| value.is_none()) {
                let points: Vec<_> = part.iter().filter_map(|(at, value)| Some((*at, within((*value)?)))).collect();
                match points[..] {
                    [] => {}
                    [alone] => dots.push(Circle::new(alone, 3, colour.filled())),
                    _ => paths.push(PathElement::new(points, colour.stroke_width(line.width))),
                }
            }
        }
        (paths, dots)
    }
}

fn across(end: f64, at: f64) -> Path {
    PathElement::new(vec![(0.0, at), (end, at)], Ink::Limit.colour())
}

/// Seconds as a clock shows them: `0:45`, `12:30`, `3:05:00`.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

/// Without what says nothing: plotters writes out defaults, each on every element.
fn lean(svg: &str) -> String {
    let mut lean = svg.to_owned();
    for (long, short) in [
        (" opacity=\"1\"", ""),
        (" font-family=\"sans-serif\"", ""),
        (" text-anchor=\"start\"", ""),
        (" stroke-width=\"1\"", ""),
        ("/>\n", "/>"),
        (">\n", ">"),
        ("\n<", "<"),
        (" \"", "\""),
    ] {
        lean = lean.replace(long, short);
    }
    lean
}

/// A legend's entry: the line's mark, and what it is.
pub(super) fn key(ink: Ink, words: &str) -> Markup {
    html! { span.entry { span.ink.(ink.class()) aria-hidden="true" {} " " (words) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, points: Vec<(f64, Option<f64>)>) -> String {
        let lines = vec![Line { ink: Ink::Green, width: 2, points }];
        Plot {
            says: "\"<b>".into(),
            scale,
            words: |value| format!("{value}"),
            end: 90.0,
            mark: Some(45.0),
            lines,
            limits: vec![],
        }
        .draw()
        .into_string()
    }

    /// So many lines of green's colour.
    fn check(scale: Scale, points: &[(f64, Option<f64>)], lines: usize) {
        let drawn = plot(scale, points.to_vec());
        assert_eq!(drawn.matches("#0F7A53").count(), lines, "{drawn}");
        assert!(drawn.contains("aria-label=\"&quot;&lt;b&gt;\"") && !drawn.contains("style"), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert_eq!((drawn.matches("<svg").count(), drawn.matches("</svg>").count()), (1, 1));
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_is_known() {
        let linear = Scale::Linear { from: 0.0, at_least: 0.01, at_most: f64::MAX };
        for scale in [linear, Scale::Logarithmic] {
            check(scale, &[], 0);
            check(scale, &[(0.0, None)], 0);
            check(scale, &[(0.0, Some(1.0)), (10.0, Some(2.0))], 1);
            check(scale, &[(0.0, Some(1.0)), (10.0, None), (20.0, Some(2.0))], 2);
            check(scale, &[(0.0, Some(0.0)), (10.0, Some(0.0))], 1);
        }
    }

    #[test]
    fn what_is_beyond_the_axis_is_drawn_at_its_end() {
        let drawn = plot(
            Scale::Linear { from: -1.0, at_least: 1.0, at_most: 10.0 },
            vec![(0.0, Some(-50.0)), (90.0, Some(1e9))],
        );
        let line = drawn.split("<polyline").find(|line| line.contains("#0F7A53")).unwrap();
        let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        for point in points.split(' ').filter(|point| !point.is_empty()) {
            let (x, y) = point.split_once(',').unwrap();
            assert!((0..440).contains(&x.parse::<i32>().unwrap()) && (0..200).contains(&y.parse::<i32>().unwrap()));
        }
    }

    #[test]
    fn seconds_stand_as_on_a_clock() {
        assert_eq!([45.0, 750.0, 11_100.0].map(clock), ["0:45", "12:30", "3:05:00"]);
    }
}
