//! Every function that a query may call, with a line about each, for the reference: what is registered says it about itself.
//! What is not here: the page around it.

use std::collections::BTreeMap;

use datafusion::logical_expr::Documentation;

use super::functions::Function;
use super::session;

/// A function as the reference shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionNote {
    /// Which functions it stands among.
    pub section: String,
    /// Its name in SQL.
    pub name: String,
    /// How it is called, in Markdown's code.
    pub call: String,
    /// What it gives, in one sentence of Markdown.
    pub description: String,
    /// Its other names.
    pub aliases: Vec<String>,
}

/// Those that say nothing of themselves, or what is another's.
const SAID_HERE: [(&str, &str, &str); 3] = [
    ("bool_or", "bool_or(expression)", "Returns true if any non-null input value is true, otherwise false."),
    (
        "covar_pop",
        "covar_pop(expression1, expression2)",
        "Returns the population covariance of a set of number pairs.",
    ),
    ("sum", "sum(expression)", "Returns the sum of all values; one that does not fit its type is refused."),
];

/// All of them, by section and name.
pub fn functions() -> Vec<FunctionNote> {
    let state = session::base(1);
    let mut notes = BTreeMap::new();
    let mut note = |kind: &str, name: &str, aliases: &[String], told: Option<&Documentation>| {
        notes.entry(name.to_owned()).or_insert_with(|| foreign(kind, name, aliases, told));
    };
    for function in state.aggregate_functions().values() {
        note("Aggregates", function.name(), function.aliases(), function.documentation());
    }
    for function in state.window_functions().values() {
        note("Windows", function.name(), function.aliases(), function.documentation());
    }
    for function in state.scalar_functions().values() {
        note("Values", function.name(), function.aliases(), function.documentation());
    }
    for function in Function::ALL {
        let (call, description) = function.description();
        let note = FunctionNote {
            section: "Of Tidemill".to_owned(),
            name: function.name().to_owned(),
            call: call.to_owned(),
            description: description.to_owned(),
            aliases: Vec::new(),
        };
        notes.insert(note.name.clone(), note);
    }
    let mut notes: Vec<FunctionNote> = notes.into_values().collect();
    notes.sort();
    notes
}

fn foreign(kind: &str, name: &str, aliases: &[String], told: Option<&Documentation>) -> FunctionNote {
    let section = told.map_or("", |told| told.doc_section.label).trim_end_matches(" Functions");
    let section = match (kind, section) {
        ("Values", "" | "Other") => "Values: others".to_owned(),
        ("Values", section) => format!("Values: {}", section.to_lowercase()),
        _ => kind.to_owned(),
    };
    let here = SAID_HERE.iter().find(|(known, ..)| *known == name);
    let (call, description) = match (here, told) {
        (Some((_, call, description)), _) => ((*call).to_owned(), (*description).to_owned()),
        (None, Some(told)) => (sentence(&told.syntax_example), sentence(&told.description)),
        (None, None) => (format!("{name}(…)"), String::new()),
    };
    let mut aliases: Vec<String> = aliases.iter().filter(|alias| *alias != name).cloned().collect();
    aliases.sort();
    FunctionNote { section, name: name.to_owned(), call, description, aliases }
}

/// The first sentence, on one line.
fn sentence(text: &str) -> String {
    let text = text.trim().split("\n\n").next().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

#[test]
fn every_function_says_how_it_is_called_and_what_it_gives() {
    let notes = functions();
    assert!(notes.len() > 150, "{}", notes.len());
    for note in notes {
        let is_called = note.call.to_lowercase().contains(&note.name);
        assert!(is_called && note.description.len() > 8, "{note:?}");
    }
}
