//! Owns how full the tables of a machine are, as it said last. Knows nothing of what they hold.
//! Invariant: the core alone writes, after each batch; a reader may see a moment ago.

use engine::{StateMachine, Usage};

use crate::counters::Counter;

/// One table.
#[derive(Debug, Default)]
struct Table {
    used: Counter,
    max: Counter,
}

/// All tables of one machine.
#[derive(Debug)]
pub(crate) struct Tables {
    names: &'static [&'static str],
    tables: Box<[Table]>,
}

impl Tables {
    pub(crate) fn new(names: &'static [&'static str]) -> Self {
        Self { names, tables: names.iter().map(|_| Table::default()).collect() }
    }

    /// For the core: takes down what the machine says.
    pub(crate) fn note<S: StateMachine>(&self, machine: &S) {
        let mut tables = self.tables.iter();
        machine.tables(|used, max| {
            if let Some(table) = tables.next() {
                table.used.set(used);
                table.max.set(max);
            }
        });
    }

    pub(crate) fn usage(&self) -> impl Iterator<Item = Usage> {
        let one = |(name, table): (&&'static str, &Table)| Usage {
            name,
            used: table.used.get(),
            max: table.max.get(),
        };
        self.names.iter().zip(&self.tables).map(one)
    }
}
