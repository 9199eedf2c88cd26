//! `activity migrate`

use std::process::ExitCode;

use tower_activity::store::{Index, Maintain as _};

use crate::{
    arguments::{Common, Migrate},
    out,
    store::Store,
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Migrate) -> Result<ExitCode, Trouble> {
    let wanted = arguments.index.iter().map(|name| index(name)).collect::<Result<Vec<_>, _>>()?;
    let store = Store::open(common).await?.reader();
    out::line("the schema is up to date")?;
    for index in wanted {
        store.make_index(index).await?;
        out::line(&format!("the index {} is there", index.as_str()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn index(name: &str) -> Result<Index, Trouble> {
    Index::ALL.into_iter().find(|index| index.as_str() == name).ok_or_else(|| {
        let names = Index::ALL.map(Index::as_str).join(", ");
        Trouble::new(format!("--index {name:?} is unknown; there are {names}"))
    })
}
