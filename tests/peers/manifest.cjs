// Holds the manifest of the Teams app against Microsoft's own validator and the schema that comes with it.
const { AppManifestUtils } = require("@microsoft/app-manifest");

AppManifestUtils.readAndValidateTeamsManifest(process.argv[2]).then(
    ([manifest, failures]) => {
        if (failures.length > 0) {
            console.error(failures);
            process.exit(1);
        }
        const [bot] = manifest.bots;
        const kind = bot.isNotificationOnly ? "notifications only" : "interactive";
        console.log(`ok: the manifest of "${manifest.name.short}" (${kind}) is valid at ${manifest.manifestVersion}`);
    },
    (error) => {
        console.error(error);
        process.exit(1);
    },
);
