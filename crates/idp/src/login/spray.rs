//! Wrong passwords by place and in the realm, as one attempt counts them (EN-13; the rules are [`portcullis_core::login::spray`]).
//!
//! The counts may be lost: nothing is allowed by that but more tries, and each account has its own counter in rows. What is
//! compared at the same time may go beyond a limit by as much as waits for a password thread (128 of a realm).

use portcullis_core::login::spray::{self, Counts, Limits};
use portcullis_core::user::User;
use portcullis_store::{Key, Kind};

use super::counter::Counter;
use crate::rate::{self, Rate};
use crate::state::Unavailable;
use crate::watch::Alarm;

const fn counted(name: &'static str) -> Rate {
    Rate { name, most: i64::MAX, window: spray::WINDOW }
}

const WRONG_HERE: Rate = counted("wrong-here");
const ACCOUNTS_HERE: Rate = counted("accounts-here");
const WRONG: Rate = counted("wrong");
const RIGHT: Rate = counted("right");

/// Of the whole realm.
const EVERYWHERE: &str = "";

/// The place of one attempt, in a realm that limits guessing.
pub(super) struct Spray {
    limits: Limits,
    place: String,
}

impl Spray {
    /// `None`: nothing is limited here. A device that the account is known from is left alone: it has a counter of its own (P-21).
    pub(super) fn of(counter: &Counter, known_device: bool) -> Option<Self> {
        let limits = Limits::of(&counter.view.records.realm.settings)?;
        (!known_device).then(|| Self { limits, place: rate::place(&counter.ip) })
    }

    async fn counts(&self, counter: &Counter, wrong_here: i64) -> Result<Counts, Unavailable> {
        let read = async |rate: Rate, who: &str| rate.count(&counter.app, counter.realm(), who, counter.now).await;
        Ok(Counts {
            wrong_here,
            accounts_here: read(ACCOUNTS_HERE, &self.place).await?,
            wrong: read(WRONG, EVERYWHERE).await?,
            right: read(RIGHT, EVERYWHERE).await?,
        })
    }

    /// Whether nothing is compared for this place now. The first time in a window somebody is told.
    pub(super) async fn rests(&self, counter: &Counter) -> Result<bool, Unavailable> {
        let wrong_here = WRONG_HERE.count(&counter.app, counter.realm(), &self.place, counter.now).await?;
        if self.limits.is_quiet(wrong_here) {
            return Ok(false);
        }
        let rests = self.limits.rests(self.counts(counter, wrong_here).await?);
        if rests && first(counter, &format!("told {}", self.place)).await? {
            tracing::warn!(realm = counter.view.records.realm.name, place = self.place, "an address guesses passwords");
            tell(counter, Alarm::Address, "too_many_failures_from_address").await?;
        }
        Ok(rests)
    }

    /// A wrong password was compared.
    pub(super) async fn wrong(&self, counter: &Counter) -> Result<(), Unavailable> {
        let (app, realm, now) = (&counter.app, counter.realm(), counter.now);
        WRONG_HERE.add(app, realm, &self.place, now).await?;
        let wrong = WRONG.add(app, realm, EVERYWHERE, now).await?;
        let right = RIGHT.count(app, realm, EVERYWHERE, now).await?;
        let counts = Counts { wrong, right, ..Counts::default() };
        if self.limits.alarm(counts) && first(counter, "told everybody").await? {
            let realm = counter.view.records.realm.name.as_str();
            tracing::error!(
                realm,
                wrong,
                right,
                "passwords of this realm are guessed; every new address may fail a few times only"
            );
            tell(counter, Alarm::Realm, "too_many_failures_in_realm").await?;
        }
        Ok(())
    }

    /// A right one was: its account makes room for the place, once.
    pub(super) async fn right(&self, counter: &Counter, user: &User) -> Result<(), Unavailable> {
        let (app, realm, now) = (&counter.app, counter.realm(), counter.now);
        RIGHT.add(app, realm, EVERYWHERE, now).await?;
        if first(counter, &format!("came {} {}", self.place, user.id)).await? {
            ACCOUNTS_HERE.add(app, realm, &self.place, now).await?;
        }
        Ok(())
    }
}

/// Whether this is the first time in a window.
async fn first(counter: &Counter, what: &str) -> Result<bool, Unavailable> {
    let key = Key::new(Kind::Rate, counter.realm().clone(), what);
    let end = counter.now.secs().saturating_add(spray::WINDOW);
    counter.app.ephemeral.put_new(&key, Vec::new(), end, counter.now).await.map_err(|_| Unavailable)
}

async fn tell(counter: &Counter, alarm: Alarm, error: &'static str) -> Result<(), Unavailable> {
    let realm = counter.view.records.realm.name.as_str();
    counter.app.watch.figures.of(Some(realm)).alarmed(alarm);
    counter.audit(None, error).await
}
