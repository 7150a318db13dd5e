//! The load: workers in a closed loop, each with its own connection and browser.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use hdrhistogram::Histogram;

use crate::server::{Server, cpu_of};
use crate::table::{Row, Table, thousands};

/// One worker's state and step.
pub trait Step {
    /// Does the work once.
    fn once(&mut self) -> impl Future<Output = Result<()>>;
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Steps per second.
    pub rate: f64,
    /// Median and 99th percentile, milliseconds.
    pub latency: (f64, f64),
    /// CPU time of the server per step, microseconds; `None` when its process is not known.
    pub cpu: Option<f64>,
}

/// Runs all workers for `seconds` after one warm-up step each. `process` is the server's.
///
/// # Errors
/// The first step that failed.
#[expect(clippy::disallowed_methods, reason = "measuring is this crate's job")]
pub async fn measure<S: Step>(process: Option<u32>, mut workers: Vec<S>, seconds: u64) -> Result<Figures> {
    for worker in &mut workers {
        worker.once().await?;
    }
    let before = process.map(cpu_of).transpose()?;
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
    let all: Result<Vec<Vec<Duration>>> = tokio::select! {
        all = join_all(runs) => all.into_iter().collect(),
        never = stay_awake() => match never {},
    };
    let elapsed = begun.elapsed().as_secs_f64();
    let after = process.map(cpu_of).transpose()?;
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
    let spent = after.zip(before).map(|(after, before)| after.saturating_sub(before).as_secs_f64());
    Ok(Figures {
        rate: count / elapsed,
        latency: (millis(0.5), millis(0.99)),
        cpu: spent.map(|spent| spent / count * 1e6),
    })
}

/// Keeps this thread from sleeping. On one machine the process that sends wakes the process that reads, so that each answer to
/// a sleeping driver costs the *server* an interrupt of the other core (13 % of a short request); over a network it does not.
async fn stay_awake() -> std::convert::Infallible {
    loop {
        tokio::task::yield_now().await;
    }
}

/// [`measure`] as a row about one of our own servers; steps per second of CPU.
///
/// # Errors
/// The first step that failed.
pub async fn run<S: Step>(
    what: &str,
    server: &Server,
    workers: Vec<S>,
    seconds: u64,
    table: &mut Table,
) -> Result<f64> {
    let figures = measure(Some(server.pid()), workers, seconds).await?;
    let cpu = figures.cpu.unwrap_or_default();
    let per_core = 1e6 / cpu;
    let (median, slow) = figures.latency;
    table.push(Row {
        what: what.to_owned(),
        rate: format!("{} ({} per core of CPU)", thousands(figures.rate), thousands(per_core)),
        latency: format!("{median:.2} / {slow:.2} ms"),
        cpu: format!("{cpu:.1} us"),
        note: format!("server {:.0} MB", server.memory()?),
    });
    Ok(per_core)
}
