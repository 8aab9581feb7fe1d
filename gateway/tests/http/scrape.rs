//! Owns the reading of a scrape the way a scraper reads it: every line is one of the format's, or
//! the page is refused. Knows nothing of what is shown.
//! Invariant: nothing is skipped.

use std::collections::{BTreeMap, BTreeSet};

/// A page that keeps to the format.
#[derive(Debug)]
pub(crate) struct Scrape {
    samples: BTreeMap<String, String>,
    kinds: BTreeMap<String, String>,
}

fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(legal) && name.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// What the samples of a family may be called, by its type.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_sum", "_count", "_bucket"],
        other => panic!("{other} is no type"),
    }
}

/// `name{key="value",...}` in its parts.
fn labels(series: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((name, rest)) = series.split_once('{') else { return (series, Vec::new()) };
    let inner = rest.strip_suffix('}').unwrap_or_else(|| panic!("unclosed: {series}"));
    let pair = |pair| {
        let (key, value): (&str, &str) = str::split_once(pair, "=\"").expect("a label");
        let value = value.strip_suffix('"').expect("a quoted value");
        assert!(is_name(key) && !value.is_empty() && !value.contains(['"', '\\']), "{series}");
        (key, value)
    };
    (name, inner.split(',').map(pair).collect())
}

impl Scrape {
    pub(crate) fn read(page: &str) -> Self {
        let mut this = Self { samples: BTreeMap::new(), kinds: BTreeMap::new() };
        let body = page.strip_suffix("# EOF\n").expect("a page ends with its mark");
        let mut lines = body.lines().peekable();
        while let Some(line) = lines.next() {
            let help = line.strip_prefix("# HELP ").unwrap_or_else(|| panic!("no help: {line}"));
            let (family, text) = help.split_once(' ').expect("a help has a text");
            assert!(is_name(family) && text.ends_with('.') && text.is_ascii(), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
            let (named, kind) = kind.and_then(|kind| kind.split_once(' ')).expect("a type");
            assert_eq!(named, family);
            let before = this.kinds.insert(family.to_owned(), kind.to_owned());
            assert_eq!(before, None, "{family} is written twice");
            while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
                this.sample(family, kind, sample);
            }
            if kind == "histogram" {
                this.check_histogram(family);
            }
        }
        this
    }

    fn sample(&mut self, family: &str, kind: &str, line: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let (name, labels) = labels(series);
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
        assert!(suffixes(kind).contains(&suffix), "{line} is no {kind}");
        let keys: BTreeSet<_> = labels.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), labels.len(), "a label twice: {line}");
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(number.is_finite() && (kind == "gauge" || number >= 0.0), "{line}");
        let before = self.samples.insert(series.to_owned(), value.to_owned());
        assert_eq!(before, None, "{series} is shown twice");
    }

    /// Each series of a histogram ascends to its count.
    fn check_histogram(&self, family: &str) {
        let (bucket, count) = (format!("{family}_bucket"), format!("{family}_count"));
        let mut series = BTreeMap::<_, Vec<(f64, u64)>>::new();
        for (sample, n) in self.of(&bucket) {
            let (_, mut labels) = labels(sample);
            let at = labels.iter().position(|(key, _)| *key == "le").expect("a bound");
            let bound = match labels.remove(at).1 {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().expect("a number"),
            };
            series.entry(labels).or_default().push((bound, n.parse().expect("a count")));
        }
        let counts: BTreeMap<_, _> = self.of(&count).map(|(name, n)| (labels(name).1, n)).collect();
        assert!(counts.keys().eq(series.keys()), "{family}");
        for (labels, mut buckets) in series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by_key(|(_, n)| *n), "{family} {labels:?}: {buckets:?}");
            let (bound, all) = buckets.pop().expect("a bucket");
            assert!(bound.is_infinite() && all.to_string() == counts[&labels], "{family}");
        }
    }

    /// The samples of this name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.samples.iter().map(|(series, value)| (series.as_str(), value.as_str()));
        all.filter(move |(series, _)| labels(series).0 == name)
    }

    /// The value of a series, as it is written.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> &str {
        let value = self.samples.get(series);
        value.unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples.keys()))
    }

    #[track_caller]
    pub(crate) fn number(&self, series: &str) -> u64 {
        self.value(series).parse().expect("an integer")
    }

    pub(crate) fn kinds(&self) -> &BTreeMap<String, String> {
        &self.kinds
    }

    /// All that labels say.
    pub(crate) fn label_values(&self) -> BTreeSet<(&str, &str)> {
        self.samples.keys().flat_map(|series| labels(series).1).collect()
    }
}
