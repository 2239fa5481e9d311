//! The design's targets, and how far each was met.

use super::table::{Table, verdict};

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One row for each target that was measured.
#[derive(Default)]
pub struct Targets(Vec<(String, f64, Bound, &'static str)>);

impl Targets {
    pub fn at_least(&mut self, what: impl Into<String>, figure: f64, bound: f64, unit: &'static str) {
        self.0.push((what.into(), figure, Bound::AtLeast(bound), unit));
    }

    pub fn at_most(&mut self, what: impl Into<String>, figure: f64, bound: f64, unit: &'static str) {
        self.0.push((what.into(), figure, Bound::AtMost(bound), unit));
    }

    pub fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("\nTargets\n");
        let mut table = Table::new(&["", "target", "figure", "", "by"]);
        for (what, figure, bound, unit) in &self.0 {
            let (sign, bound, met) = match *bound {
                Bound::AtLeast(bound) => ("≥", bound, *figure >= bound),
                Bound::AtMost(bound) => ("≤", bound, *figure <= bound),
            };
            let by = format!("{:.0} %", (figure / bound - 1.0).abs() * 100.0);
            let figure = format!("{}{unit}", short(*figure));
            table.row(vec![what.clone(), format!("{sign} {}{unit}", short(bound)), figure, verdict(met).into(), by]);
        }
        table.print();
    }
}

/// Formats with three significant digits.
fn short(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}
