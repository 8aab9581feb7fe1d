//! Owns reading what the exchange says of itself. Knows nothing of what the numbers mean.

use ::tests::http_client::{HttpClient, Request};

/// One scrape, OpenMetrics text.
pub(super) struct Metrics(String);

impl Metrics {
    pub(super) fn scrape(admin: &mut HttpClient) -> Self {
        let answer = admin.ask(&Request::get("/metrics"));
        Self(String::from_utf8(answer.body).expect("text"))
    }

    /// The value of a series that must be there, cut off to a whole number; `labels` as they are
    /// written.
    pub(super) fn get(&self, name: &str, labels: &str) -> u64 {
        let mut values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix(labels)?.strip_prefix(' ')?;
            rest.split('.').next()?.parse().ok()
        });
        values.next().unwrap_or_else(|| panic!("{name}{labels} is in no metric"))
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    #[should_panic(expected = "depth is in no metric")]
    fn a_series_is_not_made_up() {
        Metrics("depth_max 9\n".to_owned()).get("depth", "");
    }

    #[test]
    fn a_series_is_found_by_name_and_labels() {
        let text = "# TYPE depth gauge\ndepth{of=\"a\"} 3\ndepth{of=\"b\"} 4.5\ndepth_max 9\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.get("depth", "{of=\"a\"}"), 3);
        assert_eq!(metrics.get("depth", "{of=\"b\"}"), 4);
        assert_eq!(metrics.get("depth_max", ""), 9);
    }
}
