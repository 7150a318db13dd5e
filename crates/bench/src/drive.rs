//! The load: workers in a closed loop, each with its own connection and browser.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use hdrhistogram::Histogram;

use crate::server::Server;
use crate::table::{Row, Table, thousands};

/// One worker's state and step.
pub trait Step {
    /// Does the work once.
    fn once(&mut self) -> impl Future<Output = Result<()>>;
}

/// Runs all workers for `seconds` after one warm-up step each and adds a row.
///
/// # Errors
/// The first step that failed.
#[expect(clippy::disallowed_methods, reason = "measuring is this crate's job")]
pub async fn run<S: Step>(
    what: &str,
    server: &Server,
    workers: Vec<S>,
    seconds: u64,
    table: &mut Table,
) -> Result<f64> {
    let mut workers = workers;
    for worker in &mut workers {
        worker.once().await?;
    }
    let before = server.cpu()?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let runs = workers.into_iter().map(|mut worker| async move {
        let mut times = Vec::new();
        while Instant::now() < until {
            let start = Instant::now();
            worker.once().await?;
            times.push(start.elapsed());
        }
        anyhow::Ok(times)
    });
    let all: Result<Vec<Vec<Duration>>> = join_all(runs).await.into_iter().collect();
    let elapsed = begun.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - before).as_secs_f64();
    let mut histogram = Histogram::<u64>::new(3)?;
    for time in all?.into_iter().flatten() {
        histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))?;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let count = histogram.len() as f64;
    let millis = |q: f64| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds are small")]
        let micros = histogram.value_at_quantile(q) as f64;
        micros / 1000.0
    };
    let per_core = count / cpu;
    table.push(Row {
        what: what.to_owned(),
        rate: format!("{} ({} per core of CPU)", thousands(count / elapsed), thousands(per_core)),
        latency: format!("{:.2} / {:.2} ms", millis(0.5), millis(0.99)),
        cpu: format!("{:.1} us", cpu / count * 1e6),
        note: format!("server {:.0} MB", server.memory()?),
    });
    Ok(per_core)
}
