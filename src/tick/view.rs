//! The ledger of one project as `plan` reads it.

use std::collections::BTreeMap;

use crate::diagnostic::Failure;
use crate::ledger::{RecordPath, Scope, State, Stop};
use crate::model::{Freight, FreightName, Project, ProjectName, Promotion, PromotionName, StageName, StageStatus, WarehouseName, WarehouseStatus};
use crate::plan;

/// The records of one project that a plan needs: not all there are.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Records of stages.
    pub stages: BTreeMap<StageName, StageStatus>,
    /// Records of warehouses.
    pub warehouses: BTreeMap<WarehouseName, WarehouseStatus>,
    /// Live freight.
    pub freight: Vec<Freight>,
    /// Promotions that have not ended, those not yet taken into their stage's record, and those of freight that could move now.
    pub promotions: Vec<Promotion>,
}

impl View {
    /// Reads the view, fetching what is missing in batches.
    ///
    /// Promotions are chosen by name: all after the last one in the stage's record, and of the older ones those of freight that the stage
    /// could take now (their name ends in the first seven characters of the freight's), since an earlier failure counts against it.
    ///
    /// # Errors
    /// What reading the ledger says.
    pub async fn read(state: &State, project: &Project) -> Result<Self, Failure> {
        let name = &project.name;
        state.load(&[Scope::Project(name.clone())]).await?;
        let mut view = Self::default();
        for warehouse in state.warehouses(name)? {
            if let Some(record) = required(state, || state.warehouse(name, &warehouse)).await? {
                view.warehouses.insert(warehouse, record.status.clone());
            }
        }
        for stage in state.stages(name)? {
            if let Some(record) = required(state, || state.stage(name, &stage)).await? {
                view.stages.insert(stage, record.status.clone());
            }
        }
        view.read_freight(state, name).await?;
        view.read_promotions(state, project).await?;
        Ok(view)
    }

    async fn read_freight(&mut self, state: &State, project: &ProjectName) -> Result<(), Failure> {
        let mut names: Vec<FreightName> =
            self.warehouses.values().flat_map(|warehouse| warehouse.freight.iter().map(|live| live.name.clone())).collect();
        let held = self.stages.values().filter_map(StageStatus::current_freight).flat_map(|held| held.items.values().map(|item| item.name.clone()));
        names.extend(held);
        names.sort();
        names.dedup();
        state.load(&[Scope::Freight(project.clone(), names.clone())]).await?;
        for name in names {
            if let Some(freight) = required(state, || state.freight(project, &name)).await? {
                self.freight.push((*freight).clone());
            }
        }
        Ok(())
    }

    async fn read_promotions(&mut self, state: &State, project: &Project) -> Result<(), Failure> {
        let name = &project.name;
        let mut wanted: Vec<(StageName, PromotionName)> = Vec::new();
        for stage in state.stages_with_promotions(name)? {
            let status = self.stages.get(&stage);
            let last = status.and_then(|status| status.last_promotion.as_ref()).map(|last| &last.name);
            let current = status.and_then(|status| status.current_promotion.as_ref()).map(|current| &current.name);
            let suffixes: Vec<&str> = self.freight.iter().filter_map(|freight| freight.metadata.name.get(..7)).collect();
            let candidates: Vec<&str> = if project.stages.contains_key(&stage) { suffixes } else { Vec::new() };
            for promotion in state.promotions(name, &stage)? {
                let unprocessed = last.is_none_or(|last| promotion > *last) || current == Some(&promotion);
                let could_move = promotion.as_str().rsplit('.').next().is_some_and(|suffix| candidates.contains(&suffix));
                if unprocessed || could_move {
                    wanted.push((stage.clone(), promotion));
                }
            }
        }
        let paths = wanted.iter().map(|(stage, promotion)| RecordPath::Promotion(name.clone(), stage.clone(), promotion.clone())).collect();
        state.load(&[Scope::Files(paths)]).await?;
        for (stage, promotion) in wanted {
            if let Some(record) = required(state, || state.promotion(name, &stage, &promotion)).await? {
                self.promotions.push((*record).clone());
            }
        }
        Ok(())
    }

    /// A freight by name or alias; a unique beginning of the name will do, from four characters on.
    pub fn find_freight(&self, text: &str) -> Option<&Freight> {
        let by_name = self.freight.iter().find(|freight| freight.metadata.name == text || freight.alias == text);
        by_name.or_else(|| {
            let mut beginning = self.freight.iter().filter(|freight| text.len() >= 4 && freight.metadata.name.starts_with(text));
            beginning.next().filter(|_| beginning.next().is_none())
        })
    }

    /// A freight's alias; empty if it is unknown.
    pub fn alias(&self, name: &FreightName) -> String {
        self.freight.iter().find(|freight| freight.metadata.name == name.as_str()).map(|freight| freight.alias.clone()).unwrap_or_default()
    }
}

/// Reads a record, fetching what it misses.
///
/// # Errors
/// What reading the ledger says.
pub async fn required<T>(state: &State, read: impl Fn() -> Result<T, Stop>) -> Result<T, Failure> {
    loop {
        match read() {
            Err(Stop::Missing) if state.fetch_missing().await? => {}
            result => return result.map_err(Failure::from),
        }
    }
}

/// Settings of a plan from the user's.
pub fn plan_settings(settings: &crate::config::Settings) -> plan::Settings {
    use crate::config::{ForeignChangeMode, QueueMode};
    let default = plan::StageSettings {
        queue: match settings.queue {
            QueueMode::Fifo => plan::QueuePolicy::Fifo,
            QueueMode::Latest => plan::QueuePolicy::Latest,
        },
        on_foreign_change: match settings.on_foreign_change {
            ForeignChangeMode::Overwrite => plan::OnForeignChange::Overwrite,
            ForeignChangeMode::Hold => plan::OnForeignChange::Hold,
            ForeignChangeMode::Fail => plan::OnForeignChange::Fail,
        },
        ..plan::StageSettings::default()
    };
    plan::Settings { default, stages: BTreeMap::new() }
}
