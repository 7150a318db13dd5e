//! Random orders of refreshes by an honest client and by whoever copied one of its tokens.

use proptest::prelude::*;

use super::*;

/// Which of the tokens seen so far is presented, and how long after the one before, seconds.
fn steps() -> impl Strategy<Value = Vec<(usize, i64)>> {
    prop::collection::vec((0usize..6, 0i64..50), 1..24)
}

/// Presents tokens in the given order and holds the invariants of RFC 9700 §4.14.2 against what comes back.
fn walk(settings: serde_json::Value, reuses: Option<i64>, steps: &[(usize, i64)]) -> Result<(), TestCaseError> {
    let mut world = World::new(settings);
    let mut seen = vec![world.login()];
    // Uses of each generation, and the moment it was first used.
    let mut uses: Vec<(i64, i64)> = vec![(0, 0)];
    let mut over = false;
    for (pick, wait) in steps {
        world.now += wait;
        world.session.as_mut().unwrap().last_seen = world.now;
        let at = seen.len().saturating_sub(1 + pick % seen.len());
        let token = seen[at].clone();
        let newest = at + 1 == seen.len();
        let answered = world.turn(&token);
        if over {
            prop_assert!(answered.is_err(), "nothing works after the end");
            continue;
        }
        let again = at + 2 == seen.len()
            && match reuses {
                Some(reuses) => uses[at].0 <= reuses,
                None => world.now - uses[at].1 <= GRACE,
            };
        prop_assert_eq!(answered.is_ok(), newest || again);
        match answered {
            Ok(successor) if newest => {
                prop_assert!(seen.iter().all(|t| t.jti != successor.jti), "a new token");
                seen.push(successor);
                uses[at] = (1, world.now);
                uses.push((0, 0));
            }
            Ok(successor) => {
                prop_assert_eq!(&successor, &seen[at + 1], "never a second branch");
                uses[at].0 += 1;
            }
            Err(_) => over = true,
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rt_01_rt_02_strict_families_never_branch(steps in steps()) {
        walk(strict(), None, &steps)?;
    }

    #[test]
    fn rt_01_rt_02_keycloak_families_never_branch(steps in steps(), reuses in 0i64..3) {
        walk(rotating(reuses), Some(reuses), &steps)?;
    }
}
