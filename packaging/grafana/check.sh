#!/bin/sh
# Holds hawser.json against Grafana's own schema: every panel, option, query and variable has a type that Grafana knows, and
# nothing that it does not. It needs node, npm and a network; packages go into a folder that is removed.
#   packaging/grafana/check.sh [VERSION of @grafana/schema]
set -eu
version=${1:-13.2.3}
board=$(dirname "$(realpath "$0")")/hawser.json
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts "@grafana/schema@$version" typescript@5 2>npm.log || {
    cat npm.log
    exit 1
}
cat >types.ts <<'TS'
import type { AnnotationQuery, Dashboard, DataQuery, FieldConfigSource, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as series from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has the words of enums, not the enums; what is left out has a default.
type Plain<T> = T extends string ? `${T}`
    : T extends number | boolean | null | undefined ? T
    : T extends (infer U)[] ? Plain<U>[]
    : T extends object ? { [K in keyof T]?: Plain<T[K]> }
    : T;
// What Grafana's Prometheus asks; the schema package leaves queries to the data sources.
interface Query extends DataQuery { expr: string; legendFormat?: string; instant?: boolean; range?: boolean; format?: string; }
type Defaults<C> = Omit<FieldConfigSource['defaults'], 'custom'> & { custom?: C };
type Fields<C> = Omit<FieldConfigSource, 'defaults'> & { defaults: Defaults<C> };
type Of<T extends string, O, C> =
    Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & { type: T; options: O; fieldConfig: Fields<C>; targets: Query[] };
export type AnyPanel =
    | Plain<Of<'stat', stat.Options, never>>
    | Plain<Of<'timeseries', series.Options, series.FieldConfig>>
    | Plain<Omit<RowPanel, 'panels'> & { panels?: never[] }>;
export type Variable = Plain<Omit<VariableModel, 'query'>> & { query: string | { query: string; refId: string } };
// Prometheus reads these of its annotations at the root; newer versions move `expr` themselves (packages/grafana-prometheus).
interface Asked { expr: string; titleFormat?: string; textFormat?: string; tagKeys?: string; useValueForTime?: boolean; }
export type Board = Plain<Omit<Dashboard, 'panels' | 'templating' | 'annotations'>> & {
    panels: AnyPanel[];
    templating: { list: Variable[] };
    annotations: { list: (Plain<AnnotationQuery> & Asked)[] };
};
TS
node --input-type=module - "$board" <<'JS'
import { readFileSync, writeFileSync } from 'node:fs';
const board = readFileSync(process.argv[2], 'utf8');
const text = `import type { Board } from './types.js';\nexport const board: Board = ${board};\n`;
writeFileSync('board.ts', text);
// The check can fail: the same file with a word that Grafana does not know, and with a wrong kind of value.
const panels = JSON.parse(board).panels;
const first = panels.findIndex((panel) => panel.type === 'stat');
for (const [name, change] of [
    ['unknown', (panel) => { panel.options.colourMode = 'background'; }],
    ['wrong', (panel) => { panel.gridPos.w = '8'; }],
    ['word', (panel) => { panel.options.graphMode = 'nothing'; }],
]) {
    const other = JSON.parse(board);
    change(other.panels[first]);
    writeFileSync(`${name}.ts`, `import type { Board } from './types.js';\nexport const board: Board = ${JSON.stringify(other)};\n`);
}
JS
check() { node_modules/.bin/tsc --noEmit --strict --skipLibCheck --target es2022 --module nodenext --moduleResolution nodenext "$1"; }
check board.ts
for name in unknown wrong word; do
    if check "$name.ts" >/dev/null; then
        echo "a board with a mistake ($name) passes: this proves nothing"
        exit 1
    fi
done
echo "hawser.json is what @grafana/schema $version describes"
