//! Owns one trader: a user with a connection of his own, who keeps asking until he knows. Knows
//! nothing of kills but that connections break. Invariant: a request whose outcome is unknown is
//! repeated, under its key where it has one, before anything else is asked.

use std::thread;
use std::time::Duration;

use crate::http_client::{Answer, HttpClient, Outcome, Request};
use crate::random::Random;
use serde_json::{Value, json};

use super::desk::{Bound, is_replayed, post_credit, post_order, text, told};
use super::drafts::{self, MARKETS};
use super::habits::{Action, Habits};
use super::ledger::{Ledger, MassCancel, has_ended};
use super::venue::{Opening, Venue};

/// Tries of one request. The exchange is killed less often than that.
const TRIES_MAX: u32 = 400;
/// Pause after an exchange, or its wallet, was not there for a request.
const PAUSE: Duration = Duration::from_millis(50);
/// Orders looked at again after each start of the exchange, besides what is unresolved.
const LOOKS_BACK: usize = 4;

/// Who a trader is to the exchange.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user: String,
    pub token: String,
    /// For the trader's own deposits; none where the wallet is elsewhere.
    pub admin_token: Option<String>,
}

/// Bytes of padding that no body has room for.
const PADDING: usize = 20 << 10;

/// Which listener a request is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Desk {
    Public,
    /// The public one, with a token that nobody has signed.
    Forged,
    Admin,
}

/// Connections to one life of the exchange. They end with it, even if the next one listens on the
/// same ports.
#[derive(Debug)]
struct Connections {
    generation: u64,
    public: HttpClient,
    admin: HttpClient,
}

impl Connections {
    fn to(opening: Opening) -> Self {
        let generation = opening.generation;
        let (public, admin) = (HttpClient::new(opening.public), HttpClient::new(opening.admin));
        Self { generation, public, admin }
    }
}

#[derive(Debug)]
pub struct Trader<'a> {
    venue: &'a Venue,
    identity: Identity,
    forged: String,
    habits: Habits,
    random: Random,
    connections: Option<Connections>,
    pub ledger: Ledger,
    /// The life of the exchange that was last seen, and the one that is known to be over.
    generation: u64,
    dead: u64,
    next_key: u64,
    /// The last answer that said to come back later.
    last_refusal: String,
}

impl<'a> Trader<'a> {
    pub fn new(venue: &'a Venue, identity: Identity, habits: Habits, random: Random) -> Self {
        let signed = identity.token.rsplit_once('.').expect("three parts").0;
        let forged = format!("{signed}.{}", "A".repeat(43));
        let ledger = Ledger::default();
        let (generation, dead, next_key) = (0, 0, 0);
        let (connections, last_refusal) = (None, String::new());
        Self {
            venue,
            identity,
            forged,
            habits,
            random,
            connections,
            ledger,
            generation,
            dead,
            next_key,
            last_refusal,
        }
    }

    /// Trades until the exchange opens for the last time, or until somebody has failed.
    pub fn run(mut self) -> Ledger {
        let _alarm = self.venue.alarm();
        while let Some(opening) = self.venue.enter(self.dead) {
            let restarted = self.generation != 0 && self.generation != opening.generation;
            self.generation = opening.generation;
            let done = if restarted {
                self.look_back()
            } else if opening.last {
                break;
            } else {
                self.step()
            };
            if done.is_none() {
                break;
            }
        }
        self.ledger
    }

    /// Does one thing when it is time; `None` if somebody has failed.
    fn step(&mut self) -> Option<()> {
        self.habits.wait();
        let action = self.habits.choose(&mut self.random);
        let done = self.act(action);
        self.habits.answered();
        done
    }

    fn act(&mut self, action: Action) -> Option<()> {
        let changes = matches!(action, Action::Cancel | Action::Amend);
        let idles = changes && self.habits.is_paced() && self.ledger.open_orders().is_empty();
        match action {
            _ if idles => self.place_plain(false),
            Action::Place => self.place(),
            Action::PlaceWithoutKey => self.place_without_key(),
            Action::PlaceBroken => self.place_broken(),
            Action::Rest => self.place_plain(false),
            Action::Cross => self.place_plain(true),
            Action::Cancel => self.cancel(),
            Action::Amend => self.amend(),
            Action::CancelAll => self.cancel_all(),
            Action::Repeat => self.repeat(),
            Action::Contradict => self.contradict(),
            Action::Deposit if self.identity.admin_token.is_some() => self.deposit(),
            Action::Deposit | Action::Look => self.look(),
            Action::Forge => self.forge(),
            Action::Overfill => self.overfill(),
        }
    }

    /// What was told before the exchange died holds after it.
    fn look_back(&mut self) -> Option<()> {
        for _ in 0..LOOKS_BACK {
            self.repeat()?;
            self.look()?;
        }
        for place in 0..self.ledger.credits.len() {
            self.repeat_deposit(place)?;
        }
        Some(())
    }

    /// Sends once, in whatever life the exchange is. Sets `doubtful` if it may have been done
    /// although there is no answer.
    fn try_once(&mut self, desk: Desk, request: &Request<'_>, doubtful: &mut bool) -> Try {
        let Some(opening) = self.venue.enter(self.dead) else { return Try::Over };
        let connections = match self.connections.take() {
            Some(connections) if connections.generation == opening.generation => connections,
            _ => Connections::to(opening),
        };
        let Connections { public, admin, .. } = self.connections.insert(connections);
        let (client, token) = match desk {
            Desk::Public => (public, Some(&*self.identity.token)),
            Desk::Forged => (public, Some(&*self.forged)),
            Desk::Admin => (admin, self.identity.admin_token.as_deref()),
        };
        self.venue.begin();
        match client.send(&Request { token, ..*request }) {
            Outcome::Answered(answer) => {
                self.venue.end(|tally| tally.answered += 1);
                match answer.status {
                    503 => {
                        self.last_refusal = answer.json().to_string();
                        thread::sleep(PAUSE);
                        Try::Again
                    }
                    504 => {
                        *doubtful = true;
                        Try::Again
                    }
                    _ => Try::Answered(answer),
                }
            }
            Outcome::NotSent(_) => {
                self.dead = opening.generation;
                self.venue.end(|tally| tally.not_sent += 1);
                Try::Again
            }
            Outcome::Unknown(_) => {
                self.dead = opening.generation;
                self.venue.end(|tally| tally.unknown += 1);
                *doubtful = true;
                Try::Again
            }
        }
    }

    /// Sends until there is an answer; with it, whether an earlier try had an unknown outcome.
    fn insist(&mut self, desk: Desk, request: &Request<'_>) -> Option<(Answer, bool)> {
        let mut doubtful = false;
        for _ in 0..TRIES_MAX {
            match self.try_once(desk, request, &mut doubtful) {
                Try::Answered(answer) => return Some((answer, doubtful)),
                Try::Again => {}
                Try::Over => return None,
            }
        }
        panic!(
            "{} {}: no answer in {TRIES_MAX} tries, the last one: {}",
            request.method, request.path, self.last_refusal
        );
    }

    fn fresh_key(&mut self) -> String {
        self.next_key += 1;
        format!("{}-{}", self.identity.user, self.next_key)
    }

    fn place(&mut self) -> Option<()> {
        let key = self.fresh_key();
        let body = drafts::sound(&mut self.random, Some(&key));
        self.place_this(key, body)
    }

    fn place_plain(&mut self, crosses: bool) -> Option<()> {
        let key = self.fresh_key();
        let body = drafts::plain(&mut self.random, &key, crosses);
        self.place_this(key, body)
    }

    fn place_this(&mut self, key: String, body: String) -> Option<()> {
        let (answer, doubtful) = self.insist(Desk::Public, &post_order(&body))?;
        self.ledger.place(Some(key), body, &answer, doubtful);
        Some(())
    }

    /// Without a key a repeat would be another order, so an unknown outcome stays unknown.
    fn place_without_key(&mut self) -> Option<()> {
        let body = drafts::sound(&mut self.random, None);
        let mut doubtful = false;
        match self.try_once(Desk::Public, &post_order(&body), &mut doubtful) {
            Try::Answered(answer) => self.ledger.place(None, body, &answer, false),
            Try::Again => self.ledger.lost_without_key += u64::from(doubtful),
            Try::Over => return None,
        }
        Some(())
    }

    fn place_broken(&mut self) -> Option<()> {
        let key = self.fresh_key();
        let draft = drafts::broken(&mut self.random, &key);
        self.expect_refusal(Desk::Public, &draft.body, draft.refusal)?;
        self.ledger.barren_keys.push(key);
        Some(())
    }

    fn forge(&mut self) -> Option<()> {
        let key = self.fresh_key();
        let body = drafts::plain(&mut self.random, &key, false);
        self.expect_refusal(Desk::Forged, &body, (401, "UNAUTHORIZED"))?;
        self.ledger.barren_keys.push(key);
        Some(())
    }

    fn overfill(&mut self) -> Option<()> {
        let key = self.fresh_key();
        let body = drafts::plain(&mut self.random, &key, false) + &" ".repeat(PADDING);
        self.expect_refusal(Desk::Public, &body, (413, "PAYLOAD_TOO_LARGE"))?;
        self.ledger.barren_keys.push(key);
        Some(())
    }

    /// Sends a body that is refused like this, and counts it.
    fn expect_refusal(
        &mut self,
        desk: Desk,
        body: &str,
        refusal: (u16, &'static str),
    ) -> Option<()> {
        let (answer, _) = self.insist(desk, &post_order(body))?;
        let error = answer.json();
        let shown = body.trim_end();
        assert_eq!((answer.status, text(&error, "code")), refusal, "{shown}: {error}");
        *self.ledger.refused.entry(refusal.1).or_default() += 1;
        Some(())
    }

    /// One of the orders that `wanted` takes; none so old that it may be forgotten.
    fn pick(&mut self, wanted: impl Fn(&Ledger, usize) -> bool) -> Option<usize> {
        let latest = self.ledger.latest().len();
        if latest == 0 {
            return None;
        }
        let back = usize::try_from(self.random.below(latest as u64)).expect("an index");
        let place = self.ledger.orders.len() - 1 - back;
        wanted(&self.ledger, place).then_some(place)
    }

    fn pick_open(&mut self) -> Option<usize> {
        let open = self.ledger.open_orders();
        if open.is_empty() { None } else { Some(self.random.pick(&open)) }
    }

    fn repeat(&mut self) -> Option<()> {
        let keyed = |ledger: &Ledger, place: usize| ledger.orders[place].key.is_some();
        let Some(place) = self.pick(keyed) else { return Some(()) };
        let body = self.ledger.orders[place].request.body.clone();
        let (answer, _) = self.insist(Desk::Public, &post_order(&body))?;
        self.ledger.orders[place].request.check_repeat(&answer);
        self.ledger.count_repeat();
        Some(())
    }

    /// The key of an order with another body.
    fn contradict(&mut self) -> Option<()> {
        let keyed = |ledger: &Ledger, place: usize| ledger.orders[place].key.is_some();
        let Some(place) = self.pick(keyed) else { return Some(()) };
        let body = drafts::contradiction(&self.ledger.orders[place].request.body);
        self.expect_refusal(Desk::Public, &body, (409, "DUPLICATE_CLIENT_ORDER_ID"))
    }

    fn look(&mut self) -> Option<()> {
        let Some(place) = self.pick(|_, _| true) else { return Some(()) };
        self.look_at(place)
    }

    fn look_at(&mut self, place: usize) -> Option<()> {
        let order = &self.ledger.orders[place];
        let path = match &order.key {
            Some(key) if self.random.chance(50) => format!("/api/v1/orders/by-client-id/{key}"),
            _ => format!("/api/v1/orders/{}", order.id),
        };
        let (answer, _) = self.insist(Desk::Public, &Request::get(&path))?;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.json());
        self.ledger.observe(&answer.json());
        Some(())
    }

    fn cancel(&mut self) -> Option<()> {
        let Some(place) = self.pick_open() else { return Some(()) };
        let path = format!("/api/v1/orders/{}", self.ledger.orders[place].id);
        let request = Request { method: "DELETE", ..Request::get(&path) };
        let (answer, _) = self.insist(Desk::Public, &request)?;
        let body = answer.json();
        match answer.status {
            200 => {
                assert_eq!(text(&body, "status_reason"), "USER_CANCEL", "{body}");
                self.ledger.observe(&body);
            }
            409 => {
                assert_eq!(text(&body, "code"), "ORDER_NOT_CANCELLABLE", "{path}: {body}");
                self.look_at(place)?;
                let latest = &self.ledger.orders[place].latest;
                assert!(latest.as_ref().is_some_and(has_ended), "cannot be cancelled: {latest:?}");
            }
            _ => panic!("{path}: {body}"),
        }
        Some(())
    }

    fn amend(&mut self) -> Option<()> {
        let Some(place) = self.pick_open() else { return Some(()) };
        let order = &self.ledger.orders[place];
        let Some(latest) = &order.latest else { return self.look_at(place) };
        let buys = text(latest, "side") == "BUY";
        let body = drafts::amendment(&mut self.random, text(latest, "symbol"), buys);
        let path = format!("/api/v1/orders/{}", order.id);
        let request = Request { method: "PATCH", ..Request::post(&path, &body) };
        let (answer, doubtful) = self.insist(Desk::Public, &request)?;
        let view = answer.json();
        if doubtful || answer.status == 200 {
            self.ledger.forget_shape(place);
        }
        match (answer.status, text(&view, "code")) {
            (200, _) => {
                check_amended(&body, &view);
                self.ledger.observe(&view);
            }
            (409, "ORDER_NOT_AMENDABLE") => self.look_at(place)?,
            (400, code) => {
                let known =
                    ["NO_CHANGE", "INSUFFICIENT_BALANCE", "PRICE_BAND", "POST_ONLY_WOULD_CROSS"];
                assert!(known.contains(&code), "{path} {body}: {view}");
            }
            _ => panic!("{path} {body}: {view}"),
        }
        Some(())
    }

    fn cancel_all(&mut self) -> Option<()> {
        let market = self.random.pick(&[None, Some(MARKETS[0]), Some(MARKETS[1])]);
        let query = market.map(|market| format!("?symbol={}", market.path));
        let path = format!("/api/v1/orders{}", query.unwrap_or_default());
        let request = Request { method: "DELETE", ..Request::get(&path) };
        let (answer, _) = self.insist(Desk::Public, &request)?;
        let body = answer.json();
        assert_eq!(answer.status, 200, "{path}: {body}");
        let orders = body["orders"].as_array().expect("a list");
        assert_eq!(body["cancelled"].as_u64(), Some(orders.len() as u64), "{body}");
        for order in orders {
            assert!(has_ended(order), "{order}");
            // An order whose answer was lost and that has no key is nobody's.
            if order.get("client_order_id").is_some() {
                self.ledger.observe(order);
            }
        }
        let closed = orders.iter().map(|order| text(order, "id").to_owned()).collect();
        let sequence = answer.header("x-seq").and_then(|text| text.parse().ok());
        let sequence = sequence.expect("a sequence");
        let symbol = market.map(|market| market.symbol);
        self.ledger.mass_cancels.push(MassCancel { sequence, symbol, closed });
        Some(())
    }

    /// A little more money.
    fn deposit(&mut self) -> Option<()> {
        let reference = format!("deposit-{}", self.fresh_key());
        let asset = self.random.pick(&["BTC", "ETH", "USDT"]);
        let body = json!({
            "user": self.identity.user, "asset": asset, "amount": "0.5", "reference": reference,
        });
        let body = body.to_string();
        let (answer, doubtful) = self.insist(Desk::Admin, &post_credit(&body))?;
        assert_eq!(answer.status, 201, "{body}: {:?}", answer.json());
        assert!(doubtful || !is_replayed(&answer), "a new reference was used before: {body}");
        self.ledger.credits.push(Bound { body, first: told(&answer) });
        Some(())
    }

    fn repeat_deposit(&mut self, place: usize) -> Option<()> {
        let body = self.ledger.credits[place].body.clone();
        let (answer, _) = self.insist(Desk::Admin, &post_credit(&body))?;
        self.ledger.credits[place].check_repeat(&answer);
        self.ledger.count_repeat();
        Some(())
    }
}

/// How one try ended.
enum Try {
    Answered(Answer),
    Again,
    /// Somebody has failed.
    Over,
}

/// An amended order shows what it was amended to, unless that closed it.
fn check_amended(body: &str, view: &Value) {
    let asked: Value = serde_json::from_str(body).expect("a body");
    let away = text(view, "status_reason") == "AMENDED_AWAY";
    for (field, value) in asked.as_object().expect("fields") {
        assert!(away || &view[field] == value, "{body} gave {view}");
    }
}
