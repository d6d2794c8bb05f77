use super::*;

fn plot() -> Plot {
    let curve = |label: &str, steps: &[f64]| Curve { label: label.to_owned(), steps: steps.to_vec(), runs: 10 };
    let curves =
        || vec![curve("none", &[31.0]), curve("errors:x10", &[2.0, 2.0, 3.0, 4.0, 4.5, 5.0, 8.0, 9.0, 20.0, 30.0])];
    let panel = |title: &str, promised| Panel { title: title.to_owned(), top: 1.0, promised, curves: curves() };
    Plot {
        title: "A plan & its <judge>".to_owned(),
        subtitle: "10 runs".to_owned(),
        axis: Axis { label: "minutes".to_owned(), end: 47.0 },
        panels: vec![panel("rolled back", Some(0.05)), panel("promoted", None)],
    }
}

#[test]
fn axes_end_at_round_numbers() {
    for (number, end, step) in [
        (47.0, 50.0, 10.0),
        (1.0, 1.0, 0.2),
        (0.3, 0.3, 0.05),
        (601.0, 800.0, 200.0),
        (1e6, 1e6, 2e5),
        (13.0, 15.0, 2.5),
    ] {
        let (found_end, found_step) = rounded_up(number);
        let same = |a: f64, b: f64| (a - b).abs() < 1e-9 * b;
        assert!(same(found_end, end) && same(found_step, step), "{number}: {found_end} in steps of {found_step}");
    }
}

#[test]
fn letters_show_the_curves() {
    insta::assert_snapshot!(plot().letters());
}

/// What a viewer needs of it: one well-formed element, escaped texts, and every colour with its dark one.
#[test]
fn the_picture_is_complete_and_fits_light_and_dark() {
    let svg = plot().svg();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(svg.contains("A plan &amp; its &lt;judge&gt;") && svg.contains("errors:x10"));
    assert_eq!(svg.matches("what the plan allows").count(), 1, "5 % is promised of the upper panel alone");
    assert!(svg.contains("prefers-color-scheme: dark"));
    for attribute in ["fill=\"#", "stroke=\"#"] {
        for (at, _) in svg.match_indices(attribute) {
            let colour = &svg[at..at + attribute.len() + 7];
            assert!(svg.contains(&format!("[{colour}]")), "{colour} has no other colour for the dark");
        }
    }
    assert_eq!(plot().svg(), svg, "the same plot is the same bytes");
}
