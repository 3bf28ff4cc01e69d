//! Prints the results as a Markdown table.

use crate::plot::thousands;
use crate::trials::{Burst, Spread, Start};
use crate::{By, Results};

pub(crate) fn print(results: &Results) {
    let names = [By::Program, By::Model, By::Kinder].map(By::name);
    println!("| | {} |\n|---|---|---|---|", names.join(" | "));
    let Start {
        recipients,
        program_ready,
        program_knows,
        model_gave_up,
        model_ready,
    } = &results.start;
    let model = match model_gave_up {
        Some(known) => format!("gives up after 10 s with {known} looked up; would take {model_ready:.1} s"),
        None => format!("{model_ready:.1} s"),
    };
    let program = format!("ready after {program_ready:.2} s, all looked up after {program_knows:.1} s");
    row(
        &format!("start with {recipients} recipients to look up"),
        [&program, &model, "same"],
    );
    let [(_, program), (_, model)] = &results.spread[..] else {
        return;
    };
    for (program, model) in program.iter().zip(model) {
        let what = match program.recipients {
            1 => "one request, 1 recipient: its card".to_owned(),
            many => format!("one request, {} recipients: first and last card", thousands(many)),
        };
        row(&what, [&spread(program), &spread(model), "same"]);
    }
    let tallies: Vec<_> = results
        .faults
        .iter()
        .map(|(_, tally)| {
            let share = tally.share() * 100.0;
            format!(
                "{share:.1} %: {} lost, {} stale, {} notified twice",
                tally.lost, tally.stale, tally.twice
            )
        })
        .collect();
    let all = results.faults.first().map_or(0, |(_, tally)| tally.all());
    row(
        &format!("1 % faults: exactly one current card, of {} recipients", thousands(all)),
        [&tallies[0], &tallies[1], &tallies[2]],
    );
    let bursts =
        |figure: fn(&Burst) -> String| results.burst.iter().map(|(_, burst)| figure(burst)).collect::<Vec<_>>();
    let burst_row = |what: &str, figure| {
        let cells = bursts(figure);
        row(what, [&cells[0], &cells[1], &cells[2]]);
    };
    burst_row(
        "1,000 simultaneous requests, 3 of 300 recipients each: cards delivered",
        |burst| format!("{} of {}", thousands(burst.times.len()), thousands(burst.wanted)),
    );
    burst_row("time to the last card", |burst| {
        format!("{:.1} s", burst.times.last().copied().unwrap_or(f64::NAN))
    });
    burst_row("share of the documented 50 messages a second", |burst| {
        format!("{:.1} %", burst.share() * 100.0)
    });
    burst_row("calls rejected with 429", |burst| thousands(burst.refused));
}

fn row(what: &str, cells: [&str; 3]) {
    println!("| {what} | {} |", cells.join(" | "));
}

fn spread(row: &Spread) -> String {
    let Spread {
        recipients,
        first,
        last,
        delivered,
        recorded,
    } = row;
    if delivered == recipients && recorded == recipients {
        return if *recipients == 1 {
            format!("{last:.2} s")
        } else {
            format!("{first:.2} s, {last:.2} s")
        };
    }
    format!(
        "{first:.2} s, {last:.2} s; {} of {} notified, {recorded} recorded",
        thousands(*delivered),
        thousands(*recipients)
    )
}
