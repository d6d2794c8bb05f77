//! The discrete-event loop: what happens next, in virtual time.

mod messages;
mod people;
mod spans;

use crate::controller::{Controller, CrashPoint, Taken};
use crate::gateway::Gateway;
use crate::random::Random;
use crate::scenario::{People, Roughness, Scenario};
use crate::traffic::Trace;
use messages::Input;
use model::{BasisPoints, Environment, PerEnvironment, Pins, Protocol, RouteKey, RouteTable, UnixMillis, Upstream};
use rollout::{Event, Principal, Progress, RolloutId, Start, report};
use serde::Serialize;
use spans::{Outgoing, Told};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use verify::Verifier;

/// The virtual time at which every simulation begins.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// How often time is looked at.
const TICK_MS: u64 = 500;
/// How often verification closes batches.
const ADVANCE_MS: u64 = 500;
/// How often people look.
const LOOK_MS: u64 = 700;
/// Crashes in one simulation, at most: each costs up to three seconds, and the rest is for the rollout.
const MAX_CRASHES: u64 = 8;
/// The author of every plan.
const AUTHOR: &str = "alice";

/// The purposes of the streams of random numbers.
const TRAFFIC: u64 = 2;
const CHAOS: u64 = 3;

/// One simulation.
pub struct World {
    seed: u64,
    scenario: Scenario,
    now: u64,
    /// What is to happen, by time and then in the order in which it was planned.
    queue: BTreeMap<(u64, u64), Happening>,
    planned: u64,
    traffic: Random,
    chaos: Random,
    gateway: Gateway,
    /// The gateway lives in the controller's process, and dies with it.
    embedded: bool,
    gateway_up: bool,
    gateway_starts: u64,
    deaf_until: u64,
    controller: Controller,
    up: bool,
    /// Counts the controller's lives: what was on its way to an earlier one is lost.
    life: u64,
    crashes: u64,
    verifier: Option<Verifier>,
    begun_ms: u64,
    started: u32,
    ends: Vec<End>,
    happened: u64,
    green_traces: u64,
    intervened: bool,
    /// Inputs that wait for the controller to be up again: the gateway tells what it applied again and again.
    waiting: VecDeque<Input>,
}

/// How one rollout went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct End {
    /// Where it stands, in one word.
    pub progress: Progress,
    /// In one sentence.
    pub headline: String,
    /// What it waits for, the most important first.
    pub waits_for: Vec<String>,
    /// What rolled it back: a guard, a gate, the analysis or the operator.
    pub guard: Option<String>,
    /// Traces of green that were judged since its fault began, before the decision.
    pub green_traces: u64,
    /// Whether somebody did more than what the plan asks people for.
    pub intervened: bool,
}

/// What a simulation came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Its rollouts, in order.
    pub rollouts: Vec<End>,
    /// Records in the ledger.
    pub records: u64,
    /// The root of the Merkle tree over the records' bytes: the same root, the same bytes.
    pub root: String,
    /// Events that the controller took.
    pub events: u64,
    /// Crashes of the controller.
    pub crashes: u64,
    /// Tables that the gateway applied.
    pub tables_applied: u64,
    /// Tables that it refused, being no newer.
    pub tables_refused: u64,
    /// Traces torn by rollbacks.
    pub torn: u64,
    /// Virtual time in milliseconds.
    pub lasted_ms: u64,
}

enum Happening {
    Begins,
    Sends(Outgoing),
    Told(Told),
    Advances,
    Ticks,
    Looks,
    Arrives(Input),
    Publishes(Box<RouteTable>),
    Restarts,
    Starts,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(seed: u64, scenario: Scenario) -> World {
        let mut chaos = Random::of(seed, CHAOS);
        let first_table = RouteTable {
            generation: 0,
            active: Environment::Blue,
            weight: BasisPoints::ZERO,
            mirror: false,
            pins: Pins::Keep,
            pin_ms: 5_000,
            key: RouteKey(chaos.bytes()),
            upstreams: PerEnvironment { blue: Some(upstream(14_317)), green: None },
            proofs: None,
            redaction: None,
            testers: None,
            proof: None,
        };
        let embedded = chaos.chance(0.5);
        World {
            seed,
            scenario,
            now: EPOCH_MS,
            queue: BTreeMap::new(),
            planned: 0,
            traffic: Random::of(seed, TRAFFIC),
            chaos,
            gateway: Gateway::new(first_table),
            embedded,
            gateway_up: true,
            gateway_starts: 0,
            deaf_until: 0,
            controller: Controller::new(seed),
            up: true,
            life: 0,
            crashes: 0,
            verifier: None,
            begun_ms: EPOCH_MS,
            started: 0,
            ends: Vec::new(),
            happened: 0,
            green_traces: 0,
            intervened: false,
            waiting: VecDeque::new(),
        }
    }

    /// Lets everything happen until the rollouts are over, or time is. Panics, with the seed, where an invariant breaks.
    pub fn run(mut self) -> Outcome {
        self.plan(0, Happening::Begins);
        self.plan(300, Happening::Starts);
        self.plan(TICK_MS, Happening::Ticks);
        self.plan(ADVANCE_MS, Happening::Advances);
        self.plan(LOOK_MS, Happening::Looks);
        let limit = EPOCH_MS + self.scenario.limit_ms * u64::from(self.scenario.rollouts);
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            if at > limit || self.ends.len() as u32 == self.scenario.rollouts {
                break;
            }
            self.happens(happening);
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        if self.ends.len() < self.started as usize {
            self.end();
        }
        self.controller.check_replay();
        Outcome {
            seed: self.seed,
            rollouts: self.ends,
            records: self.controller.records(),
            root: self.controller.root().to_string(),
            events: self.happened,
            crashes: self.crashes,
            tables_applied: self.gateway.applied,
            tables_refused: self.gateway.refused,
            torn: self.gateway.torn,
            lasted_ms: self.now - EPOCH_MS,
        }
    }

    fn plan(&mut self, in_ms: u64, happening: Happening) {
        self.planned += 1;
        self.queue.insert((self.now + in_ms, self.planned), happening);
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Begins => {
                let noise = self.scenario.noise.errors;
                let trace = Rc::new(Trace::random(&mut self.traffic, self.scenario.max_spans, noise));
                self.plan(0, Happening::Sends(Outgoing::new(trace)));
                let gap_ms = self.traffic.between(0, 2_000 / self.scenario.traces_per_s);
                self.plan(gap_ms, Happening::Begins);
            }
            Happening::Sends(outgoing) => self.send(outgoing),
            Happening::Told(told) => self.tell(&told),
            Happening::Advances => {
                self.advance();
                self.plan(ADVANCE_MS, Happening::Advances);
            }
            Happening::Ticks => {
                self.take(Event::Tick, None);
                self.plan(TICK_MS, Happening::Ticks);
            }
            Happening::Looks => {
                match self.scenario.people {
                    People::Nobody => {}
                    People::Attendants | People::Anybody => self.look(),
                }
                self.plan(LOOK_MS, Happening::Looks);
            }
            Happening::Arrives(input) => self.arrive(input),
            Happening::Publishes(table) => self.publish(*table),
            Happening::Restarts => self.restart(),
            Happening::Starts => self.start(),
        }
    }

    fn unix(&self) -> UnixMillis {
        UnixMillis(self.now)
    }

    fn start(&mut self) {
        // A start that was lost in a crash is asked for again.
        self.plan(2_500, Happening::Starts);
        if !self.up || self.controller.running().is_some() || self.started >= self.scenario.rollouts {
            return;
        }
        let table = self.controller.replay().table().unwrap_or(&self.gateway.table);
        let serving = table.upstreams[table.active].as_ref().map_or(14_317, port);
        let candidate = if serving == 14_317 { 24_317 } else { 14_317 };
        let yaml = self.scenario.template.yaml((serving, candidate));
        let plan = rollout::plan::parse(&yaml).unwrap_or_else(|errors| panic!("seed {}: {errors}\n{yaml}", self.seed));
        let number = self.controller.replay().rollouts.len() + 1;
        let start = Start {
            rollout: RolloutId(format!("{}.{number}", plan.name)),
            plan_digest: plan.digest(),
            plan,
            by: Principal::new(AUTHOR.to_owned(), vec!["approver".to_owned()]),
            program: "simulated".to_owned(),
            route_key: RouteKey(self.chaos.bytes()),
            base_dir: "/".to_owned(),
            log: "simulated".to_owned(),
            last_generation: table.generation,
        };
        let crash = self.crash_point();
        let taken = self.controller.start(start, self.unix(), crash);
        if crash != Some(CrashPoint::BeforeDurable) {
            self.started += 1;
            (self.begun_ms, self.green_traces, self.intervened) = (self.now, 0, false);
            self.watch_traffic();
        }
        self.follow(taken);
    }

    /// The controller takes an event, if it lives.
    fn take(&mut self, event: Event, by: Option<&str>) -> Vec<rollout::Decision> {
        if !self.up || self.controller.running().is_none() {
            return Vec::new();
        }
        self.happened += 1;
        let crash = if event == Event::Tick { None } else { self.crash_point() };
        let taken = self.controller.happened(event, by, self.unix(), crash);
        let decisions = taken.decisions.clone();
        self.follow(taken);
        if self.controller.running().is_none() {
            self.end();
        }
        decisions
    }

    fn follow(&mut self, taken: Taken) {
        for action in taken.actions {
            self.act(action);
        }
        if taken.crashed {
            self.crash();
        }
    }

    fn crash_point(&mut self) -> Option<CrashPoint> {
        if self.crashes >= MAX_CRASHES || !self.chaos.chance(self.scenario.crash_share) {
            return None;
        }
        Some(match self.chaos.between(0, 2) {
            0 => CrashPoint::BeforeDurable,
            1 => CrashPoint::AfterDurable,
            _ => CrashPoint::AfterActions(self.chaos.between(0, 2) as usize),
        })
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.life += 1;
        self.up = false;
        self.verifier = None;
        self.waiting.clear();
        self.gateway_up &= !self.embedded;
        let down_ms = self.chaos.between(50, 3_000);
        self.plan(down_ms, Happening::Restarts);
    }

    fn restart(&mut self) {
        self.up = true;
        self.controller.restart(self.unix());
        let Some(table) = self.controller.replay().table().cloned() else {
            self.gateway_up = true;
            return;
        };
        if self.embedded {
            self.gateway_up = true;
            self.gateway_starts += 1;
            self.controller.watch.applied(&self.gateway.table, &table, true);
            self.gateway.restart(table.clone());
        }
        self.plan_publish(table);
        if self.controller.running().is_some() {
            self.watch_traffic();
            self.take(Event::Restarted, None);
        }
    }

    fn watch_traffic(&mut self) {
        let Some(state) = self.controller.running() else { return };
        let config = verify::Config {
            batch_ms: state.plan.analysis.batch_ms,
            linger_ms: state.plan.verification.linger_ms,
            horizon_ms: state.plan.verification.horizon_ms,
            max_spans: 1 << 20,
            max_rate: 1 << 20,
            key: [7; 16],
            route_key: state.table.key,
        };
        self.verifier = Some(Verifier::new(config, self.unix()));
    }

    /// Notes how the last rollout went, and that nothing that may still come orders anything.
    fn end(&mut self) {
        let Some(state) = self.controller.replay().rollouts.last() else { return };
        if state.outcome().is_some() {
            people::check_nothing_is_ordered_after(self.seed, state, self.unix());
        }
        let report = report(state, self.unix());
        self.ends.push(End {
            progress: report.progress,
            headline: report.headline,
            waits_for: report.waits_for,
            guard: report.cause.map(|cause| cause.guard),
            green_traces: self.green_traces,
            intervened: self.intervened,
        });
        self.verifier = None;
    }

    fn is_rough(&mut self, share: f64) -> bool {
        match self.scenario.roughness {
            Roughness::Steady => false,
            Roughness::Rough => self.chaos.chance(share),
        }
    }
}

fn upstream(port: u16) -> Upstream {
    let endpoint = format!("http://127.0.0.1:{port}");
    Upstream::plain(endpoint, Protocol::Grpc, "blue")
}

fn port(upstream: &Upstream) -> u16 {
    let digits = upstream.endpoint.rsplit(':').next().and_then(|digits| digits.parse().ok());
    digits.expect("every endpoint of the simulation ends with its port")
}
