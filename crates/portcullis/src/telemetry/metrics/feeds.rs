//! What ended, on its way: the feed that this server sends, the one that a guard in this process follows, and introspection, which
//! must see the same ends.

use portcullis_core::cutoff::Cursor;
use portcullis_guard::FeedState;

use super::{Page, Sources};

/// States of a guard's feed, each a series that is 1 or 0.
const STATES: [FeedState; 4] = [FeedState::Starting, FeedState::Following, FeedState::Stale, FeedState::Full];

impl Sources {
    /// Where the cut-offs of the realms stand that are counted each by itself. A store that does not answer leaves one out.
    pub(super) async fn cursors(&self) -> Vec<(String, Cursor)> {
        let counted: Vec<&str> = self.figures.blocks().filter_map(|(name, _)| name).collect();
        let realms = if counted.is_empty() { Vec::new() } else { self.db.realm_names().await.unwrap_or_default() };
        let mut cursors = Vec::new();
        for name in counted {
            let Some((id, _)) = realms.iter().find(|(_, known)| known == name) else { continue };
            if let Ok(cursor) = self.db.cutoff_cursor(id).await {
                cursors.push((name.to_owned(), cursor));
            }
        }
        cursors
    }

    /// The feed that is sent, and introspection.
    pub(super) fn sent(&self, page: &mut Page, cursors: &[(String, Cursor)]) {
        let feed = self.idp.feed_figures();
        page.one("portcullis_feed_streams", feed.streams);
        let streams = [("opened", feed.opened), ("slow", feed.slow), ("refused", feed.refused)];
        page.many("portcullis_feed_streams_total", "outcome", &streams);
        page.one("portcullis_feed_frames_total", feed.signed);
        page.one("portcullis_feed_cuts_total", feed.cuts);
        let mut places = |name: &str, number: fn(&Cursor) -> i64| {
            page.family(name);
            for (realm, cursor) in cursors {
                page.line(name, &[("realm", realm)], number(cursor));
            }
        };
        places("portcullis_feed_epoch", |cursor| cursor.epoch);
        places("portcullis_feed_sequence", |cursor| cursor.sequence);
        let told = self.idp.introspection_figures();
        let told = [("remembered", told.remembered), ("made", told.made)];
        page.many("portcullis_introspections_total", "document", &told);
    }

    /// The feed that a guard follows; no series where there is none.
    pub(super) fn followed(&self, page: &mut Page) {
        let feed = self.followed.get();
        let figures = feed.map(|feed| feed.figures());
        page.family("portcullis_guard_feed_state");
        for state in STATES.into_iter().filter(|_| figures.is_some()) {
            let here = figures.is_some_and(|figures| figures.state == state);
            page.line("portcullis_guard_feed_state", &[("state", state.name())], u8::from(here));
        }
        let place = feed.and_then(|feed| feed.cursor());
        page.some("portcullis_guard_feed_epoch", place.map(|(epoch, _)| epoch));
        page.some("portcullis_guard_feed_sequence", place.map(|(_, sequence)| sequence));
        page.some("portcullis_guard_feed_connections_total", figures.map(|f| f.connections));
        let mut many = |name: &str, label: &str, values: &[(&str, Option<u64>)]| {
            page.family(name);
            for (word, value) in values.iter().filter_map(|(word, value)| Some((word, value.as_ref()?))) {
                page.line(name, &[(label, word)], value);
            }
        };
        let frames = [("taken", figures.map(|f| f.taken)), ("fault", figures.map(|f| f.faults))];
        many("portcullis_guard_feed_frames_total", "outcome", &frames);
        let refused = [("ended", figures.map(|f| f.ended)), ("stale", figures.map(|f| f.unknown))];
        many("portcullis_guard_refused_total", "reason", &refused);
        page.some("portcullis_guard_cutoffs", figures.map(|f| f.entries));
    }
}
