//! Which lists of Kubernetes' built-in kinds merge item by item: the `patchStrategy` and `patchMergeKey` of its API.

/// How a list of a strategic merge patch merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListMerge {
    /// Items with the same value of this field are the same item.
    ByKey(&'static str),
    /// A set of scalars.
    Set,
}

/// A built-in kind.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    name: &'a str,
}

const PODS: &[(&str, &[&str])] = &[
    ("Pod", &["spec"]),
    ("PodTemplate", &["template", "spec"]),
    ("ReplicationController", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

const POD_LISTS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("resourceClaims", "name"),
    ("schedulingGates", "name"),
];

const CONTAINER_LISTS: &[(&str, &str)] = &[("env", "name"), ("ports", "containerPort"), ("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")];

const OTHER_LISTS: &[(&str, &[&str], &str)] = &[
    ("Service", &["spec", "ports"], "port"),
    ("ServiceAccount", &["secrets"], "name"),
    ("MutatingWebhookConfiguration", &["webhooks"], "name"),
    ("ValidatingWebhookConfiguration", &["webhooks"], "name"),
    ("ValidatingAdmissionPolicy", &["spec", "matchConditions"], "name"),
    ("ValidatingAdmissionPolicy", &["spec", "variables"], "name"),
    ("Node", &["status", "addresses"], "type"),
    ("Pod", &["status", "podIPs"], "ip"),
];

impl<'a> Kind<'a> {
    /// The kind, if it is one of Kubernetes' own groups.
    pub fn of(api_version: &str, kind: &'a str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let built_in = matches!(group, "" | "apps" | "batch" | "autoscaling" | "policy" | "extensions") || group.ends_with(".k8s.io");
        (built_in && !api_version.is_empty()).then_some(Self { name: kind })
    }

    /// How the list at a path of field names merges, items of lists on the way not counted; None: it is replaced.
    pub fn list(&self, path: &[&str]) -> Option<ListMerge> {
        if let [.., "metadata", field] = path {
            match *field {
                "finalizers" => return Some(ListMerge::Set),
                "ownerReferences" => return Some(ListMerge::ByKey("uid")),
                _ => {}
            }
        }
        if let ["status", "conditions"] = path {
            return Some(ListMerge::ByKey("type"));
        }
        let pods = PODS.iter().filter(|(kind, _)| *kind == self.name).filter_map(|(_, spec)| path.strip_prefix(*spec));
        for below in pods {
            let key = match below {
                [field] => find(POD_LISTS, field),
                ["containers" | "initContainers" | "ephemeralContainers", field] => find(CONTAINER_LISTS, field),
                _ => None,
            };
            if let Some(key) = key {
                return Some(ListMerge::ByKey(key));
            }
        }
        OTHER_LISTS.iter().find(|(kind, list, _)| *kind == self.name && *list == path).map(|(_, _, key)| ListMerge::ByKey(key))
    }
}

fn find(table: &[(&str, &'static str)], field: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == field).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lists_merge_where_the_api_says_so() {
        let deployment = Kind::of("apps/v1", "Deployment").unwrap();
        assert_eq!(deployment.list(&["spec", "template", "spec", "containers"]), Some(ListMerge::ByKey("name")));
        assert_eq!(deployment.list(&["spec", "template", "spec", "containers", "ports"]), Some(ListMerge::ByKey("containerPort")));
        assert_eq!(deployment.list(&["spec", "template", "spec", "containers", "args"]), None);
        assert_eq!(deployment.list(&["metadata", "finalizers"]), Some(ListMerge::Set));
        assert_eq!(deployment.list(&["spec", "containers"]), None);
        assert_eq!(Kind::of("v1", "Service").unwrap().list(&["spec", "ports"]), Some(ListMerge::ByKey("port")));
        assert!(Kind::of("example.com/v1", "Deployment").is_none());
    }
}
