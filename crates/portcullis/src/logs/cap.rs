//! DS-20: a line that comes a million times must not fill the disk, nor drown the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines that one place of the program may write in one [`WINDOW`].
const LINES: u64 = 100;

/// How long is counted.
const WINDOW: Duration = Duration::from_secs(10);

/// What one place of the program wrote.
struct Place {
    metadata: &'static Metadata<'static>,
    window: u128,
    lines: u64,
    /// Dropped since it was last told.
    dropped: u64,
}

/// Counts lines by the place that writes them: a hundred in ten seconds, the rest is counted and told later.
pub struct Cap {
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// As many as there are places in the program (DS-14).
    places: Mutex<HashMap<Identifier, Place>>,
}

impl Cap {
    /// With a clock that never goes back.
    pub(super) fn new(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), places: Mutex::new(HashMap::new()) }
    }

    fn admits(&self, metadata: &'static Metadata<'static>) -> bool {
        let window = (self.clock)().as_millis() / WINDOW.as_millis();
        let mut places = self.places();
        let place = places.entry(metadata.callsite()).or_insert(Place { metadata, window, lines: 0, dropped: 0 });
        if place.window != window {
            (place.window, place.lines) = (window, 0);
        }
        place.lines += 1;
        let admitted = place.lines <= LINES;
        place.dropped += u64::from(!admitted);
        admitted
    }

    /// Writes one line for each place of which lines were dropped since the last time.
    pub fn tell(&self) {
        let dropped = |place: &mut Place| {
            let count = std::mem::take(&mut place.dropped);
            let at = (place.metadata.target(), place.metadata.line());
            (count > 0).then_some((count, at))
        };
        // No lock is held while lines are written: they are counted too.
        let told: Vec<_> = self.places().values_mut().filter_map(dropped).collect();
        for (dropped, (target, line)) in told {
            tracing::warn!(dropped, of = target, line, "log lines were dropped: the same one came too often");
        }
    }

    /// Tells after every window until `stop`, and then a last time.
    pub async fn keep_telling(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(WINDOW) => {}
                _ = stop.changed() => break,
            }
            self.tell();
        }
        self.tell();
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cap as a filter of one output.
pub(super) struct Capped(pub(super) Arc<Cap>);

impl<S: Subscriber> Filter<S> for Capped {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.0.admits(event.metadata())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, fmt};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        /// Lines with `text` since the last look.
        fn lines(&self, texts: [&str; 3]) -> [usize; 3] {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            let all = String::from_utf8(bytes).unwrap();
            texts.map(|text| all.lines().filter(|line| line.contains(text)).count())
        }
    }

    fn storm(times: usize) {
        for n in 0..times {
            tracing::error!(n, "the disk is full");
        }
    }

    #[test]
    fn ds_20_a_line_that_repeats_is_capped_counted_and_told() {
        let (paper, seconds) = (Paper::default(), Arc::new(AtomicU64::new(0)));
        let cap = Arc::new(Cap::new({
            let seconds = Arc::clone(&seconds);
            move || Duration::from_secs(seconds.load(Ordering::SeqCst))
        }));
        let out = paper.clone();
        let lines = fmt::layer().with_writer(move || out.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(Capped(Arc::clone(&cap))));
        let told = "dropped=99900";
        let texts = ["the disk is full", "somebody else", told];
        tracing::subscriber::with_default(subscriber, || {
            storm(50);
            tracing::error!("somebody else");
            storm(99_950);
            tracing::error!("somebody else");
            assert_eq!(paper.lines(texts), [100, 2, 0]);
            cap.tell();
            assert_eq!(paper.lines(texts), [0, 0, 1]);
            cap.tell();
            assert_eq!(paper.lines(texts), [0, 0, 0], "told once");
            seconds.store(9, Ordering::SeqCst);
            storm(1);
            assert_eq!(paper.lines(texts), [0, 0, 0]);
            seconds.store(10, Ordering::SeqCst);
            storm(100);
            assert_eq!(paper.lines(texts), [100, 0, 0], "an honest number in the next window");
        });
    }
}
