//! Races on two nodes over one store: many do at once what one may do once.

use anyhow::{Context as _, Result};
use portcullis_core::plan::Write;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::rp::{Pkce, RelyingParty};
use portcullis_testkit::server::{Cluster, Options};
use tokio::task::JoinSet;

use crate::forge::claims;
use crate::ground::{
    House, REALM, Tokens, code, edit_realm, edit_user, furnish, login, party, realm_id, refresh, refused, registration,
    tokens, userinfo, write,
};

const ROUNDS: usize = 50;
const CROWD: usize = 50;

async fn two_nodes(house: House) -> Result<Cluster> {
    let cluster = Cluster::start(2, Options::default()).await?;
    furnish(cluster.node(0)?, house).await?;
    Ok(cluster)
}

/// So many clients, on both nodes in turn, with connections of their own.
fn crowd(cluster: &Cluster, count: usize) -> Result<Vec<RelyingParty>> {
    (0..count).map(|number| cluster.node(number)?.relying_party(registration(REALM, "app"))).collect()
}

/// Everybody refreshes the same token at once.
async fn refresh_all(crowd: Vec<RelyingParty>, token: &str) -> Result<(Vec<RelyingParty>, Vec<Answer>)> {
    let mut tasks = JoinSet::new();
    for mut one in crowd {
        let token = token.to_owned();
        tasks.spawn(async move {
            let answer = refresh(&mut one, &token).await?;
            anyhow::Ok((one, answer))
        });
    }
    tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>().map(|all| all.into_iter().unzip())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_01_fifty_at_once_leave_one_live_family_in_a_strict_realm() -> Result<()> {
    let cluster = two_nodes(House::Strict).await?;
    let mut app = party(cluster.node(0)?, "app")?;
    let mut thieves = crowd(&cluster, CROWD)?;
    for round in 0..ROUNDS {
        let first = login(&mut app).await?;
        let (back, answers) = refresh_all(thieves, &first.refresh).await?;
        thieves = back;
        let good: Vec<Tokens> = answers.iter().filter(|a| a.status == 200).map(tokens).collect::<Result<_>>()?;
        let successor = &good.first().context("nobody was served")?.refresh;
        assert!(good.iter().all(|t| t.refresh == *successor), "round {round}: two successors live");
        for answer in answers.iter().filter(|a| a.status != 200) {
            refused(answer, 400, "invalid_grant", "rt_01");
        }
        assert_eq!(good.len(), CROWD, "round {round}: an honest retry is answered");
        let next = tokens(&refresh(&mut app, successor).await?).context("the honest client is not logged out")?;
        assert_ne!(next.refresh, *successor);
        assert_eq!(userinfo(cluster.node(1)?, &next.access).await?.status, 200);
        // The first token is two generations old now: whoever shows it ends the family.
        refused(&refresh(&mut app, &first.refresh).await?, 400, "invalid_grant", "the old token");
        refused(&refresh(&mut app, &next.refresh).await?, 400, "invalid_grant", "its family");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_01_fifty_at_once_are_served_once_where_keycloak_rotates() -> Result<()> {
    let cluster = two_nodes(House::Keycloak).await?;
    edit_realm(cluster.node(0)?, |realm| realm.settings.revoke_refresh_token = true).await?;
    let mut app = party(cluster.node(0)?, "app")?;
    let mut thieves = crowd(&cluster, CROWD)?;
    for round in 0..ROUNDS {
        let first = login(&mut app).await?;
        let (back, answers) = refresh_all(thieves, &first.refresh).await?;
        thieves = back;
        let good: Vec<&Answer> = answers.iter().filter(|a| a.status == 200).collect();
        assert_eq!(good.len(), 1, "round {round}");
        for answer in answers.iter().filter(|a| a.status != 200) {
            refused(answer, 400, "invalid_grant", "rt_01");
        }
        // Keycloak's rule: the reuse ended the client's part of the session.
        let given = tokens(good.first().context("one")?)?;
        refused(&refresh(&mut app, &given.refresh).await?, 400, "invalid_grant", "the family");
        assert_eq!(userinfo(cluster.node(1)?, &given.access).await?.status, 401, "round {round}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pc_03_a_code_is_exchanged_once_by_many_at_once() -> Result<()> {
    let cluster = two_nodes(House::Strict).await?;
    let mut app = party(cluster.node(0)?, "app")?;
    for round in 0..ROUNDS {
        let (code, pkce) = code(&mut app).await?;
        let mut tasks = JoinSet::new();
        for mut one in crowd(&cluster, 10)? {
            let (code, pkce): (String, Pkce) = (code.clone(), pkce.clone());
            tasks.spawn(async move { one.exchange(&code, &pkce).await });
        }
        let answers = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let good: Vec<Tokens> = answers.iter().filter(|a| a.status == 200).map(tokens).collect::<Result<_>>()?;
        assert!(good.len() <= 1, "round {round}: {} were served", good.len());
        for answer in answers.iter().filter(|a| a.status != 200) {
            refused(answer, 400, "invalid_grant", "pc_03");
        }
        for given in good {
            assert_eq!(userinfo(cluster.node(1)?, &given.access).await?.status, 401, "round {round}: revoked");
            refused(&refresh(&mut app, &given.refresh).await?, 400, "invalid_grant", "revoked");
        }
    }
    login(&mut app).await?;
    Ok(())
}

/// Ends everything of a login while it is refreshed; afterwards nothing of it works.
async fn end_while_refreshing(cluster: &Cluster, how: &str, round: usize) -> Result<()> {
    let server = cluster.node(0)?;
    let mut app = party(server, "app")?;
    let held = login(&mut app).await?;
    let realm = realm_id(server).await?;
    let session = claims(&held.access)?["sid"].as_str().context("sid")?.into();
    let mut tasks = JoinSet::new();
    for mut one in crowd(cluster, 6)? {
        let token = held.refresh.clone();
        tasks.spawn(async move { refresh(&mut one, &token).await });
    }
    match how {
        "session" => write(server, vec![Write::EndUserSession(realm, session)]).await?,
        "client session" => {
            let client = crate::ground::records(server, REALM).await?.client("app").context("client")?.id.clone();
            write(server, vec![Write::EndClientSession(realm, session, client)]).await?;
        }
        "logout" => {
            let answer = logout(&mut app, &held.refresh).await?;
            assert!(matches!(answer.status, 204 | 400), "{} {}", answer.status, answer.text());
        }
        _ => edit_user(server, "alice", |user| user.enabled = false).await?,
    }
    let answers = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let mut alive: Vec<Tokens> = answers.iter().filter(|a| a.status == 200).map(tokens).collect::<Result<_>>()?;
    alive.push(held);
    for given in alive {
        let what = format!("round {round} {how}");
        for node in &cluster.nodes {
            refused(&refresh(&mut party(node, "app")?, &given.refresh).await?, 400, "invalid_grant", &what);
            assert_eq!(userinfo(node, &given.access).await?.status, 401, "{what}");
        }
    }
    if how == "user disabled" {
        edit_user(server, "alice", |user| user.enabled = true).await?;
    }
    Ok(())
}

async fn logout(app: &mut RelyingParty, token: &str) -> Result<Answer> {
    let path = app.endpoint("logout");
    let form = [("client_id", "app"), ("refresh_token", token)];
    app.send(portcullis_testkit::http1::Exchange::form(&path, &form)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_05_an_end_wins_over_a_refresh_at_the_same_time() -> Result<()> {
    let cluster = two_nodes(House::Strict).await?;
    let ways = ["session", "client session", "user disabled"];
    for round in 0..ROUNDS {
        let how = ways.get(round % ways.len()).copied().unwrap_or_default();
        end_while_refreshing(&cluster, how, round).await?;
    }
    login(&mut party(cluster.node(1)?, "app")?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_05_logout_wins_in_a_realm_without_rotation() -> Result<()> {
    let cluster = two_nodes(House::Keycloak).await?;
    for round in 0..20 {
        end_while_refreshing(&cluster, "logout", round).await?;
    }
    login(&mut party(cluster.node(1)?, "app")?).await?;
    Ok(())
}
