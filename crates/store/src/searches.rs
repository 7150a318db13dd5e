//! Searches of users: they may look at a whole realm, so they take their time in turns and end.
//!
//! **Owns** the walk over windows, one search at a time, the time limit. **Does not own** windows and statements
//! ([`crate::identity::found`]). DS-21: between two windows the connection is free for others, and a search that lasts too long is
//! given up, with what it found.

use std::time::Duration;

use portcullis_core::ids::RealmId;
use portcullis_core::user::User;
use portcullis_core::user::search::{Page, UserSearch};

use crate::db::Db;
use crate::error::ReadError;
use crate::identity::found::{self, WINDOW, Window};

/// How long a search may take, the wait for its turn included.
const LIMIT: Duration = Duration::from_secs(5);

/// What a walk gathers.
#[derive(Default)]
struct Gathered {
    /// Users to leave out yet.
    skip: usize,
    /// Users wanted at most.
    most: usize,
    users: Vec<User>,
    count: usize,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.users.len() >= self.most && self.most > 0
    }
}

#[expect(clippy::missing_errors_doc, reason = "a search fails only with ReadError; ReadError::Slow is its time limit")]
impl Db {
    /// The users that a search means, by username, with roles and groups: `page.max` from `page.first` on.
    pub async fn find_users(&self, realm: &RealmId, search: &UserSearch, page: Page) -> Result<Vec<User>, ReadError> {
        if page.max == 0 {
            return Ok(Vec::new());
        }
        let gathered = Gathered { skip: page.first, most: page.max, ..Gathered::default() };
        let found = self.walk(realm, search, gathered, WINDOW).await?.users;
        let realm = realm.clone();
        self.read_wide(move |_, db| found::completed(db, &realm, found)).await
    }

    /// How many users a search means.
    pub async fn count_users(&self, realm: &RealmId, search: &UserSearch) -> Result<usize, ReadError> {
        Ok(self.walk(realm, search, Gathered::default(), WINDOW).await?.count)
    }

    async fn walk(
        &self,
        realm: &RealmId,
        search: &UserSearch,
        mut gathered: Gathered,
        names: i64,
    ) -> Result<Gathered, ReadError> {
        let started = self.clock().now();
        let _turn = tokio::time::timeout(LIMIT, self.searches().acquire()).await.map_err(|_| ReadError::Slow)?;
        let mut after = String::new();
        loop {
            let (realm, search) = (realm.clone(), search.clone());
            let looked = self.read_wide(move |_, db| {
                let window = Window::behind(db, &realm, &after, names)?;
                look(db, &realm, &search, &window, &mut gathered)?;
                Ok((window, gathered))
            });
            let window: Window;
            (window, gathered) = looked.await?;
            if window.last || gathered.is_full() {
                return Ok(gathered);
            }
            if self.clock().now().saturating_sub(started) > LIMIT {
                return Err(ReadError::Slow);
            }
            after = window.into_end();
        }
    }
}

/// What of a window is wanted.
fn look(
    db: &dyn crate::sql::Source,
    realm: &RealmId,
    search: &UserSearch,
    window: &Window,
    gathered: &mut Gathered,
) -> Result<(), ReadError> {
    let counts_only = gathered.most == 0;
    if search.columns_suffice() {
        let here = if counts_only || gathered.skip > 0 { window.count(db, realm, search)? } else { 0 };
        gathered.count += here;
        let skipped = here <= gathered.skip && gathered.skip > 0;
        if counts_only || skipped {
            gathered.skip = gathered.skip.saturating_sub(here);
            return Ok(());
        }
        let wanted = gathered.most - gathered.users.len();
        gathered.users.extend(window.users(db, realm, search, (gathered.skip, wanted))?);
        gathered.skip = 0;
        return Ok(());
    }
    for user in window.users(db, realm, search, (0, usize::MAX))? {
        if !search.matches(&user) {
            continue;
        }
        gathered.count += 1;
        if counts_only {
            continue;
        }
        if gathered.skip > 0 {
            gathered.skip -= 1;
        } else if !gathered.is_full() {
            gathered.users.push(user);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use portcullis_core::oauth::params::Params;
    use portcullis_core::plan::{Lane, Plan, Write};
    use portcullis_core::realm::{Realm, RealmState};
    use portcullis_core::user::UserSettings;

    use super::*;
    use crate::clock::Monotonic;
    use crate::db::OpenOptions;
    use crate::sealing::ServerKeys;

    fn search(query: &str) -> UserSearch {
        UserSearch::read(&Params::parse(query.as_bytes()).unwrap()).unwrap()
    }

    fn user(name: &str) -> User {
        User {
            id: name.into(),
            username: name.to_owned(),
            email: None,
            version: 1,
            enabled: name != "u3",
            not_before: 0,
            service_account_client: None,
            settings: UserSettings { first_name: Some(format!("First {name}")), ..UserSettings::default() },
            roles: Vec::new(),
            groups: Vec::new(),
        }
    }

    async fn filled(clock: Monotonic) -> (Db, RealmId) {
        let options = OpenOptions { clock, ..OpenOptions::default() };
        let db = Db::in_memory_with(ServerKeys { current: (1, [1; 32]), previous: None }, options).unwrap();
        let id = RealmId::from("r");
        let realm = Realm {
            id: id.clone(),
            name: "r".to_owned(),
            version: 1,
            state: RealmState::Ready,
            default_role: None,
            default_groups: Vec::new(),
            settings: serde_json::from_str("{}").unwrap(),
        };
        let names = ["100%", "u1", "u2", "u3", "u4", "u5"];
        let users = names.map(|name| Write::CreateUser(id.clone(), user(name)));
        let writes = std::iter::once(Write::CreateRealm(realm)).chain(users).collect();
        db.apply(Plan::new(Lane::Admin, writes)).await.unwrap();
        (db, id)
    }

    #[tokio::test]
    async fn windows_of_any_size_find_the_same() {
        let (db, realm) = filled(Monotonic::system()).await;
        type Row = (&'static str, (usize, usize), &'static [&'static str], usize);
        let table: [Row; 8] = [
            ("", (0, 3), &["100%", "u1", "u2"], 6),
            ("", (4, 10), &["u4", "u5"], 6),
            ("", (100, 10), &[], 6),
            ("enabled=true", (2, 2), &["u2", "u4"], 5),
            ("username=%25", (0, 9), &["100%"], 1),
            ("username=u3&exact=true", (0, 9), &["u3"], 1),
            ("search=first", (1, 3), &["u1", "u2", "u3"], 6),
            ("firstName=t+u&enabled=true", (1, 2), &["u2", "u4"], 4),
        ];
        for (query, (skip, most), want, count) in table {
            for names in [1, 2, 3, 100] {
                let search = search(query);
                let found =
                    db.walk(&realm, &search, Gathered { skip, most, ..Gathered::default() }, names).await.unwrap();
                let found: Vec<String> = found.users.into_iter().map(|user| user.username).collect();
                assert_eq!(found, want, "{query} by {names}");
                let counted = db.walk(&realm, &search, Gathered::default(), names).await.unwrap().count;
                assert_eq!(counted, count, "{query} by {names}");
            }
        }
    }

    #[tokio::test]
    async fn ds_21_a_search_past_its_time_is_given_up() {
        let step = Arc::new(AtomicU64::new(0));
        let clock = Monotonic::from_fn({
            let (step, at) = (Arc::clone(&step), AtomicU64::new(0));
            move || Duration::from_secs(at.fetch_add(step.load(Ordering::SeqCst), Ordering::SeqCst))
        });
        let (db, realm) = filled(clock).await;
        let everybody = search("search=*s*");
        let walk = async || db.walk(&realm, &everybody, Gathered::default(), 1).await.map(|found| found.count);
        assert_eq!(walk().await, Ok(6));
        step.store(2, Ordering::SeqCst);
        assert_eq!(walk().await, Err(ReadError::Slow));
        step.store(0, Ordering::SeqCst);
        assert_eq!(walk().await, Ok(6), "its turn was given back");
    }
}
