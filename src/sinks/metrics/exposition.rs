//! The text formats: Prometheus 0.0.4 and OpenMetrics 1.0.

use std::fmt::Write as _;
use std::time::Duration;

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// OpenMetrics text format 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a reader asks for by its `Accept` field.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let refused = |parameter: &str| {
            let quality = parameter.trim().strip_prefix("q=").map(str::parse::<f32>);
            matches!(quality, Some(Ok(quality)) if quality <= 0.0)
        };
        let wanted = accept.split(',').any(|range| {
            let mut parts = range.split(';');
            let kind = parts.next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/openmetrics-text") && !parts.any(refused)
        });
        if wanted { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Exposition {
    out: String,
    format: Format,
}

/// Samples of one name. Its head is written with the first of them.
#[derive(Debug)]
pub(super) struct Family<'a> {
    page: &'a mut Exposition,
    /// Without namespace and `_total`.
    name: &'static str,
    kind: Kind,
    help: &'static str,
    has_head: bool,
}

impl Exposition {
    pub(super) const fn new(format: Format) -> Self {
        Self { out: String::new(), format }
    }

    /// A counter; `name` without `shadowtap_` and `_total`.
    pub(super) const fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        Family { page: self, name, kind: Kind::Counter, help, has_head: false }
    }

    /// A gauge; `name` without `shadowtap_`.
    pub(super) const fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        Family { page: self, name, kind: Kind::Gauge, help, has_head: false }
    }

    /// A histogram of seconds; `name` without `shadowtap_`.
    pub(super) const fn histogram(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        Family { page: self, name, kind: Kind::Histogram, help, has_head: false }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

impl Family<'_> {
    /// A sample that is a whole number.
    pub(super) fn number(&mut self, labels: &[(&str, &str)], value: u64) {
        self.sample(labels, value);
    }

    /// A sample in seconds.
    pub(super) fn seconds(&mut self, labels: &[(&str, &str)], value: Duration) {
        self.sample(labels, value.as_secs_f64());
    }

    /// The samples of a histogram: `buckets` counts what is at most each of the bounds, and at last
    /// what is more; both are of microseconds.
    pub(super) fn buckets(&mut self, bounds: &[u64], buckets: &[u64], sum_micros: u64) {
        let mut total = 0_u64;
        for (at, count) in buckets.iter().enumerate() {
            total = total.saturating_add(*count);
            let bound = bounds.get(at).map(|micros| Duration::from_micros(*micros).as_secs_f64());
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.suffixed("_bucket", &[("le", &bound)], total);
        }
        self.suffixed("_sum", &[], Duration::from_micros(sum_micros).as_secs_f64());
        self.suffixed("_count", &[], total);
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.suffixed(suffix, labels, value);
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.head();
        let out = &mut self.page.out;
        out.push_str("shadowtap_");
        out.push_str(self.name);
        out.push_str(suffix);
        for (number, (name, value)) in labels.iter().enumerate() {
            out.push(if number == 0 { '{' } else { ',' });
            out.push_str(name);
            out.push_str("=\"");
            escape(out, value, true);
            out.push('"');
        }
        if !labels.is_empty() {
            out.push('}');
        }
        // Writing to a string cannot fail.
        writeln!(out, " {value}").ok();
    }

    fn head(&mut self) {
        if std::mem::replace(&mut self.has_head, true) {
            return;
        }
        let (kind, total) = match (self.kind, self.page.format) {
            // OpenMetrics names the family without the suffix, the older format with it.
            (Kind::Counter, Format::OpenMetrics) => ("counter", ""),
            (Kind::Counter, Format::Prometheus) => ("counter", "_total"),
            (Kind::Gauge, _) => ("gauge", ""),
            (Kind::Histogram, _) => ("histogram", ""),
        };
        let quotes = self.page.format == Format::OpenMetrics;
        let out = &mut self.page.out;
        for (word, text) in [("HELP", self.help), ("TYPE", kind)] {
            write!(out, "# {word} shadowtap_{}{total} ", self.name).ok();
            escape(out, text, quotes);
            out.push('\n');
        }
    }
}

/// Escapes backslashes, line feeds and, where they delimit, quotation marks.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Exposition::new(format);
        let mut family = page.counter("things", "Says \"a\\b\"\nand more.");
        family.number(&[], 7);
        family.number(&[("name", "a\\b\"c\nd"), ("kind", "é{}")], u64::MAX);
        let _ = page.counter("nothing", "Never shown.");
        page.gauge("age_seconds", "Age.").seconds(&[], Duration::from_millis(1_500));
        page.finish()
    }

    #[test]
    fn prometheus_text() {
        assert_eq!(
            page(Format::Prometheus),
            "# HELP shadowtap_things_total Says \"a\\\\b\"\\nand more.\n\
             # TYPE shadowtap_things_total counter\n\
             shadowtap_things_total 7\n\
             shadowtap_things_total{name=\"a\\\\b\\\"c\\nd\",kind=\"é{}\"} 18446744073709551615\n\
             # HELP shadowtap_age_seconds Age.\n\
             # TYPE shadowtap_age_seconds gauge\n\
             shadowtap_age_seconds 1.5\n"
        );
    }

    #[test]
    fn openmetrics_text() {
        assert_eq!(
            page(Format::OpenMetrics),
            "# HELP shadowtap_things Says \\\"a\\\\b\\\"\\nand more.\n\
             # TYPE shadowtap_things counter\n\
             shadowtap_things_total 7\n\
             shadowtap_things_total{name=\"a\\\\b\\\"c\\nd\",kind=\"é{}\"} 18446744073709551615\n\
             # HELP shadowtap_age_seconds Age.\n\
             # TYPE shadowtap_age_seconds gauge\n\
             shadowtap_age_seconds 1.5\n\
             # EOF\n"
        );
    }

    #[test]
    fn the_reader_chooses() {
        let cases = [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5",
                Format::OpenMetrics,
            ),
            ("text/plain, Application/OpenMetrics-Text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text; q=0.0, */*", Format::Prometheus),
            ("application/openmetrics-textual", Format::Prometheus),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
