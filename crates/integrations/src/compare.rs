//! The verdict of calls that were made from both environments.

use crate::call::{Attempt, Call, Calls, Origin, Outcomes, Target, Why};
use crate::order::{Duration, FALSE_ALARM, Median, Slower, fisher, median, needed_repetitions, per_bound};
use crate::reasons::{Assessment, Reasons};
use model::{Environment, PerEnvironment};
use serde_json::{Value, json};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The calls.
    pub calls: &'a Calls,
    /// What became of them, or why an environment could not be asked.
    pub outcomes: PerEnvironment<&'a Result<Outcomes, String>>,
    /// How much slower green's may be.
    pub slower: Slower,
    /// The plan says that the controller's own calls are meant.
    pub controller_is_meant: bool,
}

/// Decides. The same question has the same answer.
pub fn compare(question: &Question<'_>) -> Assessment {
    let Question { calls, outcomes, slower, controller_is_meant } = question;
    let mut reasons = Reasons::default();
    let mut measured = serde_json::Map::new();
    match (outcomes.blue, outcomes.green) {
        (Ok(blue), Ok(green)) => {
            let both = PerEnvironment { blue, green };
            if reasons.are_comparable(&both, *controller_is_meant) {
                let of = calls.iter().len();
                for call in calls.iter() {
                    let medians = reasons.add_call(call, of, &both, *slower);
                    measured.insert(call.name.clone(), json!(medians));
                }
            }
        }
        (blue, green) => {
            for (environment, result) in [(Environment::Green, green), (Environment::Blue, blue)] {
                if let Err(words) = result {
                    reasons.errors.push(format!("no calls could be made from {environment}: {words}"));
                }
            }
        }
    }
    let told = |result: &Result<Outcomes, String>| match result {
        Ok(outcomes) => json!(outcomes),
        Err(words) => json!({ "failed": words }),
    };
    let evidence = json!({
        "calls": calls.iter().map(shown).collect::<Vec<_>>(),
        "outcomes": { "blue": told(outcomes.blue), "green": told(outcomes.green) },
        "slower": slower,
        "controllerIsMeant": controller_is_meant,
        "mediansUs": measured,
    });
    let pass = format!("green can make all {} calls, none of them slower than is allowed", calls.iter().len());
    reasons.assessment(pass, evidence)
}

/// A call without what follows a `?` in its URL: that may be somebody's.
fn shown(call: &Call) -> Value {
    let mut call = call.clone();
    if let Target::Http { url, .. } | Target::GrpcHealth { url, .. } = &mut call.to {
        url.truncate(url.find(['?', '#']).unwrap_or(url.len()));
    }
    json!(call)
}

/// The attempts of one environment.
struct Made<'a> {
    attempts: &'a [Attempt],
    failed: usize,
}

impl Made<'_> {
    fn of(attempts: &[Attempt]) -> Made<'_> {
        Made { attempts, failed: attempts.iter().filter(|attempt| attempt.failed.is_some()).count() }
    }

    fn has_succeeded(&self) -> bool {
        self.failed < self.attempts.len()
    }

    /// How the last one failed, in words.
    fn why(&self) -> &str {
        let last = self.attempts.iter().rev().find_map(|attempt| attempt.failed.as_ref());
        last.map_or("for no reason that was told", |failure| &failure.words)
    }

    fn median(&self, alpha: f64) -> Option<Median> {
        let took = |attempt: &Attempt| if attempt.failed.is_some() { u64::MAX } else { attempt.took_us };
        median(&mut self.attempts.iter().map(took).collect::<Vec<_>>(), alpha)
    }
}

impl Reasons {
    /// Whether the calls say something of the two environments.
    fn are_comparable(&mut self, outcomes: &PerEnvironment<&Outcomes>, controller_is_meant: bool) -> bool {
        let from = PerEnvironment::from_fn(|it| outcomes[it].from);
        if from.blue != from.green {
            let words = format!("blue's calls were made from {}, green's from {}", from.blue, from.green);
            self.unsure.push(words + ": they cannot be compared");
            return false;
        }
        if from.green == Origin::Agent {
            return true;
        }
        let words = format!("the calls were made from {}", Origin::Controller);
        if controller_is_meant {
            self.notes.push(words + ", as the plan has it");
        } else {
            self.unsure.push(words + ": name an agent of each, or say in the plan that this is meant");
        }
        controller_is_meant
    }

    fn add_call(
        &mut self,
        call: &Call,
        of: usize,
        outcomes: &PerEnvironment<&Outcomes>,
        slower: Slower,
    ) -> Option<PerEnvironment<Median>> {
        let name = &call.name;
        let made =
            PerEnvironment::from_fn(|it| Made::of(outcomes[it].attempts.get(name).map_or(&[][..], Vec::as_slice)));
        let is_refused = |attempt: &Attempt| attempt.failed.as_ref().is_some_and(|failure| failure.why == Why::NotMade);
        for environment in [Environment::Green, Environment::Blue] {
            if made[environment].attempts.iter().any(is_refused) {
                let why = made[environment].why();
                self.errors.push(format!("the call {name} could not be tried from {environment}: {why}"));
                return None;
            }
            if made[environment].attempts.is_empty() {
                self.unsure.push(format!("the call {name} was not made from {environment}: the time was over before"));
                return None;
            }
        }
        let PerEnvironment { blue, green } = &made;
        match (blue.has_succeeded(), green.has_succeeded()) {
            (true, true) => {}
            (true, false) => {
                let words = format!("green cannot make the call {name}, which blue can: {}", green.why());
                self.fails.push(words);
                return None;
            }
            (false, true) => {
                let words = format!("blue cannot make the call {name}, which green can: {}", blue.why());
                self.errors.push(words + "; what is active should be able to");
                return None;
            }
            (false, false) => {
                let words = format!("neither environment can make the call {name}: {}", green.why());
                self.unsure.push(words + "; either what is called is down, or the call is wrong");
                return None;
            }
        }
        self.add_failures(name, of, &made);
        self.add_times(name, of, &made, slower)
    }

    fn add_failures(&mut self, name: &str, of: usize, made: &PerEnvironment<Made<'_>>) {
        let PerEnvironment { blue, green } = made;
        let (of_green, of_blue) = (green.attempts.len(), blue.attempts.len());
        if green.failed * of_blue <= blue.failed * of_green {
            if blue.failed > 0 {
                self.notes.push(format!("the call {name} failed {} times of {of_blue} from blue", blue.failed));
            }
            return;
        }
        let chance = fisher(green.failed, of_green, blue.failed, of_blue);
        let counts = format!("{} times of {of_green} from green, {} of {of_blue} from blue", green.failed, blue.failed);
        let words = format!("the call {name} failed {counts}: {}", green.why());
        if chance <= FALSE_ALARM / (2.0 * of as f64) {
            self.fails.push(words);
        } else {
            self.unsure.push(words + "; that may be chance");
        }
    }

    fn add_times(
        &mut self,
        name: &str,
        of: usize,
        made: &PerEnvironment<Made<'_>>,
        slower: Slower,
    ) -> Option<PerEnvironment<Median>> {
        let alpha = per_bound(of);
        let (Some(blue), Some(green)) = (made.blue.median(alpha), made.green.median(alpha)) else {
            let least = made.blue.attempts.len().min(made.green.attempts.len());
            let needed = needed_repetitions(of);
            let words = format!("the call {name} was made {least} times, too few to compare how long it takes");
            self.unsure.push(format!("{words}; expected {needed} at least"));
            return None;
        };
        let (at_most_us, allowed_us) = (slower.allowed_us(blue.at_most_us), slower.allowed_us(blue.at_least_us));
        if green.at_least_us > at_most_us {
            let words = format!("the call {name} is slow from green alone: its median is {green}, from blue {blue}");
            self.fails.push(format!("{words}; {} are allowed at most", Duration(at_most_us)));
        } else if green.at_most_us > allowed_us {
            let words = format!("the call {name} has a median of {green} from green, and of {blue} from blue");
            self.unsure.push(words + ": too uncertain for what is allowed; repeat it more often, or allow more");
        }
        Some(PerEnvironment { blue, green })
    }
}

#[cfg(test)]
mod tests;
