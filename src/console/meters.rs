//! Reads the node's own metrics in Prometheus' text format: the console shows the numbers that everybody else sees.

/// The metrics of one moment.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    samples: Vec<Sample>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Meters {
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self { samples: lines.filter_map(Sample::read).collect() }
    }

    /// The sum of all samples of a metric whose labels `wanted` accepts.
    pub fn sum_where(&self, name: &str, wanted: impl Fn(&Sample) -> bool) -> f64 {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        of_name.filter(|sample| wanted(sample)).map(|sample| sample.value).sum()
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, |_| true)
    }

    pub fn with(&self, name: &str, label: &str, value: &str) -> f64 {
        self.sum_where(name, |sample| sample.label(label) == Some(value))
    }

    /// The values of a label, each with the sum of its samples.
    pub fn by(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.name == name) {
            let value = sample.label(label).unwrap_or_default();
            match sums.iter_mut().find(|(known, _)| known == value) {
                Some((_, sum)) => *sum += sample.value,
                None => sums.push((value.to_owned(), sample.value)),
            }
        }
        sums.sort_by(|(one, _), (other, _)| one.cmp(other));
        sums
    }
}

impl Sample {
    /// As `name{label="value",…} 1.5`.
    fn read(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let Some((name, labels)) = series.split_once('{') else {
            return Some(Self { name: series.to_owned(), labels: Vec::new(), value });
        };
        let mut rest = labels.strip_suffix('}')?;
        let mut labels = Vec::new();
        while let Some((label, behind)) = rest.split_once("=\"") {
            let (text, after) = behind.split_once('"')?;
            labels.push((label.trim_start_matches(',').to_owned(), text.to_owned()));
            rest = after;
        }
        Some(Self { name: name.to_owned(), labels, value })
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_node_writes() {
        let meters = Meters::read(
            "# HELP a_total words\n# TYPE a_total counter\na_total{outcome=\"sent\",of=\"x\"} 3\na_total{outcome=\"held\"} 1\n\nb 2.5\n",
        );
        assert_eq!(
            (meters.sum("a_total"), meters.with("a_total", "outcome", "sent"), meters.sum("b")),
            (4.0, 3.0, 2.5)
        );
        assert_eq!(meters.by("a_total", "outcome"), [("held".to_owned(), 1.0), ("sent".to_owned(), 3.0)]);
        assert_eq!(meters.sum("unknown"), 0.0);
    }
}
