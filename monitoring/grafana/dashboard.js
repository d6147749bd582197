// @ts-check
// Prints segment_braze.json, the dashboard for Grafana, made with Grafana's own
// typed builder:
//
//	dev/monitoring --dashboard	writes it anew
'use strict';

const { DashboardBuilder, RowBuilder, DatasourceVariableBuilder, QueryVariableBuilder, ThresholdsConfigBuilder,
  DashboardCursorSync, ThresholdsMode, VariableRefresh, VariableSort } = require('@grafana/grafana-foundation-sdk/dashboard');
const { DataqueryBuilder } = require('@grafana/grafana-foundation-sdk/prometheus');
const timeseries = require('@grafana/grafana-foundation-sdk/timeseries');
const stat = require('@grafana/grafana-foundation-sdk/stat');
const { BigValueColorMode, BigValueGraphMode, BigValueTextMode, LegendDisplayMode, LegendPlacement, ReduceDataOptionsBuilder,
  StackingConfigBuilder, StackingMode, VizLegendOptionsBuilder, VizTooltipOptionsBuilder, TooltipDisplayMode,
  SortOrder } = require('@grafana/grafana-foundation-sdk/common');

const source = { type: 'prometheus', uid: '${datasource}' };

// the labels that the variables at the top of the page choose from
const DATABASE = 'datname=~"$datname"';
const CHOSEN = `${DATABASE}, destination=~"$destination"`;
const RATE = '$__rate_interval';

/** @param {string} name @param {string} [labels] */
const of = (name, labels) => `segment_braze_${name}{${CHOSEN}${labels ? `, ${labels}` : ''}}`;
/** @param {string} name @param {string} [labels] */
const rate = (name, labels) => `rate(${of(name, labels)}[${RATE}])`;
/** @param {string} by @param {string} what */
const sum = (by, what) => `sum by (${by}) (${what})`;
/** @param {number} part @param {string} name */
const quantile = (part, name) => `histogram_quantile(${part}, ${sum('le', rate(`${name}_bucket`))})`;

/** @typedef {[expression: string, legend: string]} Query */

/** @param {Query} query @param {boolean} instant @param {number} [place] among those of its panel */
function target([expression, legend], instant, place = 0) {
  const query = new DataqueryBuilder().refId('ABCDEF'[place]).expr(expression).legendFormat(legend).datasource(source);
  return instant ? query.instant() : query.range();
}

/**
 * One number, and what it means.
 * @param {string} title @param {string} description @param {string} unit @param {Query} query
 * @param {[color: string, from: number | null][]} steps
 */
function number(title, description, unit, query, steps) {
  return new stat.PanelBuilder().title(title).description(description).datasource(source).unit(unit).height(4).span(4)
    .withTarget(target(query, true))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute)
      .steps(steps.map(([color, value]) => ({ color, value }))))
    .noValue('none').graphMode(BigValueGraphMode.None).colorMode(BigValueColorMode.Value);
}

/**
 * @param {string} title @param {string} description @param {string} unit @param {Query[]} queries
 */
function graph(title, description, unit, queries) {
  const panel = new timeseries.PanelBuilder().title(title).description(description).datasource(source).unit(unit)
    .height(8).span(12).min(0).lineWidth(1).fillOpacity(10)
    .legend(new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true).calcs([]))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  queries.forEach((query, place) => panel.withTarget(target(query, false, place)));
  return panel;
}

/** @param {timeseries.PanelBuilder} panel */
const stacked = (panel) => panel.fillOpacity(50).stacking(new StackingConfigBuilder().mode(StackingMode.Normal));

/** @param {string} name @param {string} label @param {string} query */
const variable = (name, label, query) => new QueryVariableBuilder(name).label(label).datasource(source).query(query)
  .refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalAsc).multi(true).includeAll(true).allValue('.*')
  .current({ text: 'All', value: '$__all', selected: true });

const dashboard = new DashboardBuilder('Braze delivery (segment_braze)')
  .uid('segment-braze')
  .description('What segment_braze delivers to Braze, and what waits. doc/monitoring.md explains the numbers.')
  .tags(['postgresql', 'braze', 'segment']).timezone('browser').refresh('30s').time({ from: 'now-6h', to: 'now' })
  .editable().tooltip(DashboardCursorSync.Crosshair)
  .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
  .withVariable(variable('datname', 'Database', 'label_values(segment_braze_worker_running, datname)'))
  .withVariable(variable('destination', 'Destination', `label_values(segment_braze_destination_state{${DATABASE}}, destination)`))

  .withRow(new RowBuilder('Now'))
  .withPanel(number('State', 'What each destination is doing. braze_status says why, and what to do.', 'none',
    [`${of('destination_state')} == 1`, '{{destination}}: {{state}}'], [['text', null]])
    .span(8).textMode(BigValueTextMode.Name))
  .withPanel(number('Workers missing', 'Databases that have the extension, and no worker.', 'none',
    [`count(segment_braze_worker_running{${DATABASE}} == 0) or vector(0)`, ''], [['green', null], ['red', 1]]))
  .withPanel(number('Waiting', 'Calls in the queue.', 'short',
    [`sum(${of('pending_calls')})`, ''], [['text', null]]))
  .withPanel(number('Oldest call', 'Since when the oldest call that waits is queued.', 's',
    [`max(${of('oldest_call_age_seconds')})`, ''], [['green', null], ['orange', 900], ['red', 3600]]))
  .withPanel(number('Dead letters', 'Rows in braze_dead_letters.', 'short',
    [`sum(segment_braze_dead_letter_rows{${DATABASE}})`, ''], [['green', null], ['orange', 1]]))

  .withRow(new RowBuilder('Calls'))
  .withPanel(graph('Calls', 'Queued, and how they ended. Calls that COPY or INSERT has queued do not count as queued.', 'cps', [
    [sum('', rate('queued_calls_total')), 'queued'],
    [sum('', rate('delivered_calls_total')), 'delivered'],
    [sum('', rate('skipped_calls_total')), 'skipped'],
    [sum('', rate('rejected_calls_total')), 'refused'],
    [sum('', rate('duplicate_calls_total')), 'duplicates'],
    [sum('', rate('dropped_calls_total')), 'dropped: the queue was full']]))
  .withPanel(graph('Delivered, by destination', 'Calls that Braze accepted.', 'cps', [
    [sum('datname, destination', rate('delivered_calls_total')), '{{destination}} ({{datname}})']]))
  .withPanel(graph('From the commit to Braze', 'How long a call took from the transaction that queued it to Braze\'s answer.', 's', [
    [quantile(0.5, 'delivery_duration_seconds'), 'half of the calls'],
    [quantile(0.95, 'delivery_duration_seconds'), '95 %'],
    [quantile(0.99, 'delivery_duration_seconds'), '99 %']]))
  .withPanel(graph('Age of the oldest call', 'It grows while nothing is delivered.', 's', [
    [`max by (datname, destination) (${of('oldest_call_age_seconds')})`, '{{destination}} ({{datname}})']]))
  .withPanel(graph('Waiting', 'Calls in the queue.', 'short', [
    [sum('datname, destination', of('pending_calls')), '{{destination}} ({{datname}})']]))
  .withPanel(graph('Refused', 'Calls that became dead letters in delivery.', 'short', [
    [`sum by (datname, destination) (increase(${of('rejected_calls_total')}[${RATE}]))`, '{{destination}} ({{datname}})']]))

  .withRow(new RowBuilder('Requests'))
  .withPanel(stacked(graph('Requests, by answer', 'none: there was no complete answer.', 'reqps', [
    [sum('status', rate('requests_total')), '{{status}}']])))
  .withPanel(stacked(graph('Requests, by endpoint', '', 'reqps', [
    [sum('endpoint', rate('requests_total')), '{{endpoint}}']])))
  .withPanel(graph('Braze\'s answers', 'From the start of a request to its end.', 's', [
    [quantile(0.5, 'request_duration_seconds'), 'half of the requests'],
    [quantile(0.95, 'request_duration_seconds'), '95 %'],
    [quantile(0.99, 'request_duration_seconds'), '99 %']]))
  .withPanel(stacked(graph('Objects accepted', 'By the array of the request.', 'ops', [
    [sum('kind', rate('accepted_objects_total')), '{{kind}}']])))
  .withPanel(graph('Objects in a request', 'Of the requests to which Braze said yes; 75 is Braze\'s limit.', 'short', [
    [`${sum('', rate('accepted_objects_total'))} / ${sum('', rate('requests_total', 'status="2xx"'))}`, 'on average']]))
  .withPanel(graph('Sent again', 'Requests that had to be sent again, and those of them that Braze may have accepted: what may count twice.', 'reqps', [
    [sum('', rate('retried_requests_total')), 'sent again'],
    [sum('', rate('ambiguous_resent_requests_total')), 'Braze may have accepted it']]))
  .withPanel(graph('Bytes sent', 'Bodies of requests.', 'Bps', [
    [sum('destination', rate('request_body_bytes_total')), '{{destination}}']]))
  .withPanel(graph('Attributes saved', 'Not sent, because Braze has them (changed_attributes_only).', 'ops', [
    [sum('destination', rate('unchanged_attributes_total')), '{{destination}}']]))

  .withRow(new RowBuilder('Limits'))
  .withPanel(graph('Room in Braze\'s rate limit', 'How many more requests Braze takes, by its last answer that said so.', 'short', [
    [`min by (destination, service) (${of('rate_limit_remaining_requests')})`, '{{destination}}: {{service}}']]))
  .withPanel(graph('Waiting for Braze\'s limit', 'How long nothing is sent because of it.', 's', [
    [`max by (destination, service) (${of('rate_limit_wait_seconds')})`, '{{destination}}: {{service}}']]))
  .withPanel(graph('Requests under way', '', 'short', [
    [sum('destination', of('requests_under_way')), '{{destination}}']]))
  .withPanel(graph('Size of the queue', 'Of the calls in it, as stored, which max_queue_size bounds.', 'bytes', [
    [sum('datname, destination', of('pending_bytes')), '{{destination}} ({{datname}})']]))
  .withPanel(graph('Memory for calls', 'Of what segment_braze.max_memory allows. What does not fit stays in the queue.', 'bytes', [
    [sum('datname', of('held_bytes')), '{{datname}}']]));

process.stdout.write(`${JSON.stringify(dashboard.build(), null, 2)}\n`);
