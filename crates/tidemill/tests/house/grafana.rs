//! The lists that Grafana's query builder fills: what its PostgreSQL data source asks the catalogue
//! (`public/app/plugins/datasource/grafana-postgresql-datasource/postgresMetaQuery.ts`). What is not here: dashboards
//! ([`super::postgres`]).

use expect_test::expect;

use crate::plant::Plant;
use crate::postgres::psql;

/// Which schemas are on the path, as a condition.
const ON_THE_PATH: &str = r#"
          quote_ident(table_schema) IN (
          SELECT
            CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          )"#;

/// Schemas that are nobody's data.
const OTHERS: &str = "'_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal', '_timescaledb_config', \
     'timescaledb_information', 'timescaledb_experimental'";

fn columns(table: &str) -> String {
    format!(
        r#"SELECT quote_ident(column_name) AS "column", data_type AS "type"
    FROM information_schema.columns
    WHERE
      CASE WHEN array_length(parse_ident('{table}'),1) = 2
        THEN quote_ident(table_schema) = (parse_ident('{table}'))[1]
          AND quote_ident(table_name) = (parse_ident('{table}'))[2]
        ELSE quote_ident(table_name) = '{table}'
          AND {ON_THE_PATH}
      END"#
    )
}

#[test]
fn the_query_builder_finds_tables_and_columns() {
    let plant = Plant::start_with("[postgres]\nlisten = [\"127.0.0.1:0\"]\n");
    let token = plant.token("grafana", &["read:#"]);
    let asked = [
        "SELECT current_setting('server_version_num')::int/100 as version".to_owned(),
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'".to_owned(),
        format!(
            "SELECT schema_name AS \"name\" FROM information_schema.schemata
             WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast', {OTHERS}) ORDER BY schema_name"
        ),
        "SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables
         WHERE quote_ident(table_schema) = 'public' ORDER BY 1"
            .to_owned(),
        format!(
            "SELECT CASE WHEN {ON_THE_PATH} THEN quote_ident(table_name)
                ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\"
             FROM information_schema.tables
             WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', {OTHERS})
             ORDER BY CASE WHEN {ON_THE_PATH} THEN 0 ELSE 1 END, 1 LIMIT 4"
        ),
        columns("samples"),
        columns("sys.columns"),
    ];
    let words: Vec<&str> = ["\\pset format unaligned", "\\pset tuples_only"]
        .into_iter()
        .chain(asked.iter().map(String::as_str))
        .collect();
    let Some(shown) = psql(&plant, &token, &words) else { return };
    let shown = shown.expect(0);
    assert_eq!(shown.err, "");
    expect![[r#"
        Output format is unaligned.
        Tuples only is on.
        1500
        public
        sys
        samples
        signals
        samples
        signals
        sys.columns
        sys.corrections
        signal|text
        time|timestamp with time zone
        value|double precision
        integer|bigint
        text|text
        quality|bigint
        received|timestamp with time zone
        kind|text
        source|text
        table_name|text
        column_name|text
        type|text
        description|text
    "#]]
    .assert_eq(&shown.out);
}
