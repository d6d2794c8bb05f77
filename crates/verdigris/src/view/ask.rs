//! What a person can ask of a rollout from the live view, what they are told before it happens, and when it makes no sense.
//! The server has the last word: it knows what this view has not seen yet, and its refusal is shown.

use model::BasisPoints;
use rollout::{Command, Progress, Report};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Stop advancing.
    Pause,
    /// Go on.
    Resume,
    /// Back to the active environment.
    RollBack,
}

impl Ask {
    /// The command for the server.
    pub fn command(self) -> Command {
        match self {
            Ask::Pause => Command::Pause,
            Ask::Resume => Command::Resume,
            Ask::RollBack => Command::Rollback {
                reason: "asked for in `verdigris rollout watch`".to_owned(),
                past_point_of_no_return: false,
            },
        }
    }

    /// In a word or two.
    pub fn verb(self) -> &'static str {
        match self {
            Ask::Pause => "pause",
            Ask::Resume => "resume",
            Ask::RollBack => "roll back",
        }
    }

    /// Why it makes no sense now, if it does not.
    pub fn refused(self, report: &Report) -> Option<String> {
        match report.progress {
            Progress::Promoted | Progress::RolledBack => return Some("the rollout is over".to_owned()),
            Progress::RollingBack => return Some("it is on the way back already".to_owned()),
            Progress::Promoting => return Some("green is being promoted".to_owned()),
            Progress::Progressing | Progress::Paused | Progress::Held => {}
        }
        let stands = matches!(report.progress, Progress::Paused | Progress::Held);
        match self {
            Ask::Pause if stands => Some("it stands still already".to_owned()),
            Ask::Resume if !stands => Some("it goes on by itself: nothing waits for it".to_owned()),
            Ask::RollBack => report.past_return.as_ref().map(|past| {
                format!(
                    "the point of no return was passed at step {}: {}; from the command line alone: `verdigris rollout \
                     rollback --past-the-point-of-no-return --reason WHY`",
                    past.step, past.reason
                )
            }),
            Ask::Pause | Ask::Resume => None,
        }
    }

    /// What will happen, in whole sentences, the most important first.
    pub fn will(self, report: &Report) -> Vec<String> {
        let step = report.steps.iter().position(|step| step.current).map_or(0, |index| index + 1);
        let serves = report.green_serves.unwrap_or(BasisPoints::ZERO);
        match self {
            Ask::Pause => vec![
                format!("{} stops at step {step} of {}.", report.rollout, report.steps.len()),
                format!("Green goes on to serve {serves} of the traces."),
                "Guards go on, and can still roll back.".to_owned(),
            ],
            Ask::Resume => vec![
                format!("{} goes on at step {step} of {}.", report.rollout, report.steps.len()),
                match report.progress {
                    Progress::Held => format!("It is {}; what it rests on is looked at again.", report.headline),
                    _ => "No gate is skipped.".to_owned(),
                },
            ],
            Ask::RollBack => vec![
                format!("All traffic goes to {} at once; green serves {serves} now.", report.active),
                "Traces in flight may be torn.".to_owned(),
                format!("{} is over then, and cannot be resumed.", report.rollout),
            ],
        }
    }
}
