// What Prometheus' API answers.
'use strict';

async function ask(path, parameters) {
  const url = new URL(`/api/v1/${path}`, process.env.PROMETHEUS);
  for (const [name, value] of Object.entries(parameters || {})) url.searchParams.append(name, value);
  const answer = await (await fetch(url)).json();
  if (answer.status !== 'success') throw new Error(`${answer.error}: ${url.searchParams.get('query')}`);
  return answer.data;
}

// the samples of an expression now: { labels, value }
async function query(expression) {
  const { result, resultType } = await ask('query', { query: expression });
  if (resultType !== 'vector') throw new Error(`a ${resultType}: ${expression}`);
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

// its series over the last minute: { labels, values }, values that are numbers
async function range(expression) {
  const end = Date.now() / 1000;
  const { result } = await ask('query_range', { query: expression, start: end - 60, end, step: 1 });
  return result.map(({ metric, values }) => ({ labels: metric, values: values.map(([, value]) => Number(value)).filter((value) => !Number.isNaN(value)) }));
}

module.exports = { ask, query, range };
