//! Small charts of the last hour, as SVG. Colours come from the style sheet.

use maud::{Markup, html};

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// Five minutes. The line of a younger node begins further right.
const LEAST: usize = 30;

/// A line over the last hour, or since the start. `says` is its text for screen readers.
pub fn chart(values: &[f64], says: &str) -> Markup {
    let top = values.iter().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let span = values.len().saturating_sub(1).max(LEAST);
    let start = span - values.len().saturating_sub(1);
    let place = |(index, value): (usize, &f64)| {
        let x = (start + index) as f64 / span as f64 * WIDTH;
        let y = HEIGHT - 2.0 - value / top * (HEIGHT - 4.0);
        format!("{x:.1},{y:.1}")
    };
    let line: Vec<String> = values.iter().enumerate().map(place).collect();
    let line = line.join(" ");
    let first = start as f64 / span as f64 * WIDTH;
    html! {
        svg.chart role="img" aria-label=(says) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
            polygon.area points={ (format!("{first:.1}")) "," (HEIGHT) " " (line) " " (WIDTH) "," (HEIGHT) } {}
            polyline.line points=(line) {}
        }
    }
}
