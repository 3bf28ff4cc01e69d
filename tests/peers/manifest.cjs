// Holds the manifest of the Teams app against Microsoft's own validator and the schema that comes with it.
const { AppManifestUtils } = require("@microsoft/app-manifest");

AppManifestUtils.readAndValidateTeamsManifest(process.argv[2]).then(
    ([manifest, failures]) => {
        if (failures.length > 0) {
            console.error(failures);
            process.exit(1);
        }
        console.log(`the manifest of "${manifest.name.short}" is valid at ${manifest.manifestVersion}`);
    },
    (error) => {
        console.error(error);
        process.exit(1);
    },
);
