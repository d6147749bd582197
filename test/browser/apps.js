// What braze_sdk prints for apps, against the names that Braze's own packages
// for React Native have: of braze.xml, and of the dictionary in Info.plist.
'use strict';

const fs = require('fs');
const path = require('path');

const { ok, is, done } = require('./tap');
const { sdk } = require('./database');

const file = (...names) => fs.readFileSync(path.join(process.env.NODE_PATH, '@braze', ...names), 'utf8');

const OPTIONS = {
  datacenter: 'US-03', android_app_identifier: 'the-android-app', ios_app_identifier: 'the-ios-app', enable_logging: 'true',
  minimum_interval_between_trigger_actions_in_seconds: '7', session_timeout_in_seconds: '77',
};

function android() {
  // by the plugin's own name of a setting: the name and the type in braze.xml
  const { ANDROID_CONFIG_MAP: known } = require('@braze/expo-plugin/build/brazeAndroidConstants');
  const printed = [...sdk('android', OPTIONS).matchAll(/<(\w+)(?: translatable="false")? name="(\w+)">([^<]*)</g)];
  const wanted = { androidApiKey: 'the-android-app', baseUrl: 'sdk.iad-03.braze.com', sessionTimeout: '77', logLevel: '2', minimumTriggerIntervalInSeconds: '7' };

  is(printed.map(([, type, name, value]) => `${type} ${name} ${value}`).sort(),
    Object.entries(wanted).map(([setting, value]) => `${known[setting][1]} ${known[setting][0]} ${value}`).sort(),
    'braze.xml: the names and types of @braze/expo-plugin');
  const documented = Object.fromEntries([...file('react-native-sdk', 'README.md').matchAll(/^\| `(com_braze_\w+)` \| `(\w+)` \|/gm)]
    .map(([, name, type]) => [name, type]));
  const common = printed.filter(([, , name]) => name in documented);
  is(common.map(([, type, name]) => `${type} ${name}`), common.map(([, , name]) => `${documented[name]} ${name}`),
    `braze.xml: and those that @braze/react-native-sdk documents (${common.length})`);
  ok(common.length > 1, 'braze.xml: it does document some');
}

function ios() {
  const reader = file('expo-plugin', 'ios', 'ExpoAdapterBraze', 'BrazeAppDelegate.swift');
  // what it reads a value as, and how Info.plist has that
  const types = { String: 'string', Double: 'integer', Int: 'integer', Bool: 'true' };
  const known = Object.fromEntries([...reader.matchAll(/plistConfig\["(\w+)"\] (?:as\?|as!|is) (\w+)/g)].map(([, name, type]) => [name, types[type]]));
  const text = sdk('ios', OPTIONS);
  const printed = [...text.matchAll(/<key>(\w+)<\/key>\n\t<(\w+)>([^<]*)</g)].map(([, name, type, value]) => `${type} ${name} ${value}`);
  const wanted = { ApiKey: 'the-ios-app', Endpoint: 'sdk.iad-03.braze.com', LogLevel: '0', TriggerInterval: '7', SessionTimeout: '77' };

  is(printed.sort(), Object.entries(wanted).map(([name, value]) => `${known[name]} ${name} ${value}`).sort(),
    'Info.plist: the names and types that @braze/expo-plugin reads');
  ok(/infoDictionary\?\["Braze"\]/.test(reader) && text.startsWith('<key>Braze</key>\n<dict>\n'), 'Info.plist: in the dictionary Braze');
  ok(/case 0\b[^:]*:\s*configuration\.logger\.level = \.debug/.test(reader), 'Info.plist: 0 is the level that logs everything');
  const writer = file('expo-plugin', 'build', 'withBrazeiOS.js');
  is(Object.keys(wanted).filter((name) => !writer.includes(`modResults.Braze.${name} = `)), [], 'Info.plist: as the plugin itself writes them');
}

android();
ios();
process.exitCode = done();
