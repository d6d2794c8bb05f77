use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Index, IndexMut};

/// One of the two environments. Blue is active when a rollout starts; green is the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// The environment that serves when a rollout starts.
    Blue,
    /// The environment that is being rolled out.
    Green,
}

impl Environment {
    /// Both, blue first.
    pub const BOTH: [Environment; 2] = [Environment::Blue, Environment::Green];

    /// Blue for green, green for blue.
    pub fn other(self) -> Environment {
        match self {
            Environment::Blue => Environment::Green,
            Environment::Green => Environment::Blue,
        }
    }

    /// `blue` or `green`.
    pub fn name(self) -> &'static str {
        match self {
            Environment::Blue => "blue",
            Environment::Green => "green",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value for each environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerEnvironment<T> {
    /// Blue's value.
    pub blue: T,
    /// Green's value.
    pub green: T,
}

impl<T> PerEnvironment<T> {
    /// Makes both values with one function.
    pub fn from_fn(mut make: impl FnMut(Environment) -> T) -> PerEnvironment<T> {
        PerEnvironment { blue: make(Environment::Blue), green: make(Environment::Green) }
    }

    /// The same shape with other values.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> PerEnvironment<U> {
        PerEnvironment { blue: make(self.blue), green: make(self.green) }
    }
}

impl<T> Index<Environment> for PerEnvironment<T> {
    type Output = T;

    fn index(&self, environment: Environment) -> &T {
        match environment {
            Environment::Blue => &self.blue,
            Environment::Green => &self.green,
        }
    }
}

impl<T> IndexMut<Environment> for PerEnvironment<T> {
    fn index_mut(&mut self, environment: Environment) -> &mut T {
        match environment {
            Environment::Blue => &mut self.blue,
            Environment::Green => &mut self.green,
        }
    }
}
