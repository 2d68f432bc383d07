//! The bill of materials as CycloneDX 1.6 has it in JSON: the program with its hash, every crate linked into it with licence,
//! purl and the checksum of its package, and who links whom. Nothing in it depends on when or where it was made.

use super::date::Date;
use super::parts::Part;
use super::program::Program;
use serde_json::{Value, json};

pub(crate) fn document(program: &Program, parts: &[Part], date: &Date) -> String {
    let (itself, others): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|part| part.name == "tidemill" && part.is_ours());
    let hash = super::sha256(&program.bytes);
    let mut about = json!({
        "type": "application",
        "bom-ref": "tidemill",
        "name": "tidemill",
        "version": program.version,
        "description": "An open Industry 4.0 platform in one binary",
        "licenses": [{ "license": { "id": "Apache-2.0" } }],
        "hashes": [{ "alg": "SHA-256", "content": hash }],
        "properties": [{ "name": "tidemill:target", "value": program.machine.target }],
    });
    about["purl"] = json!(format!("pkg:generic/tidemill@{}", program.version));
    let mut dependencies: Vec<Value> = others.iter().map(|part| links(&purl(part), part, parts)).collect();
    dependencies.extend(itself.iter().map(|part| links("tidemill", part, parts)));
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&hash),
        "version": 1,
        "metadata": {
            "timestamp": date.rfc3339,
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [{ "type": "application", "name": "cargo xtask dist", "version": program.version }] },
            "component": about,
        },
        "components": others.iter().map(|part| component(part)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    format!("{document:#}\n")
}

fn purl(part: &Part) -> String {
    // Of what a version may hold, only `+` is not itself in a purl.
    format!("pkg:cargo/{}@{}", part.name, part.version.replace('+', "%2B"))
}

fn component(part: &Part) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(part),
        "name": part.name,
        "version": part.version,
        "scope": "required",
    });
    if !part.licence.is_empty() {
        component["licenses"] = json!([{ "expression": part.licence }]);
    }
    if let Some(checksum) = &part.checksum {
        component["purl"] = json!(purl(part));
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &part.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn links(reference: &str, part: &Part, parts: &[Part]) -> Value {
    let needs: Vec<String> =
        parts.iter().filter(|other| part.needs.contains(&other.key())).map(purl).collect();
    json!({ "ref": reference, "dependsOn": needs })
}

/// A UUID of the form for own purposes (RFC 9562, version 8) from the program's hash: another program, another document.
fn serial(hash: &str) -> String {
    let digits = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-a{}-{}",
        digits(0, 8),
        digits(8, 12),
        digits(12, 15),
        digits(15, 18),
        digits(18, 30)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_a_uuid() {
        let serial = serial(&"0123456789abcdef".repeat(4));
        assert_eq!(serial, "urn:uuid:01234567-89ab-8cde-af01-23456789abcd");
    }
}
