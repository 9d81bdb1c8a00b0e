//! The TPM as it stands. Reading it changes nothing.

use merlon_wire::seal::{Failure, Tpm2Report};
use tss_esapi::constants::PropertyTag;

use super::lockout::{Lockout, properties};
use super::{Tpm, pcrs, policy, srk};

/// Describes it.
pub(super) fn describe(tpm: &mut Tpm, wanted: &[u8]) -> Result<Tpm2Report, Failure> {
    let (tcti, resource_manager) = (tpm.tcti.to_string(), tpm.resource_manager());
    let context = &mut tpm.context;
    let maker = maker(&properties(context, PropertyTag::Manufacturer, 5)?);
    let values = pcrs::read(context, wanted)?;
    let lockout = Lockout::read(context)?;
    Ok(Tpm2Report {
        tcti,
        resource_manager,
        maker,
        srk_name: srk::name(context)?,
        policy: policy::over_pcrs(&values),
        pcrs: values,
        lockout_counter: lockout.counter,
        lockout_after: lockout.after,
        lockout_interval: lockout.interval,
        lockout_auth_set: lockout.auth_set,
    })
}

/// Four letters of the maker, then up to sixteen of the model.
fn maker(properties: &[(PropertyTag, u32)]) -> String {
    let model = [
        PropertyTag::VendorString1,
        PropertyTag::VendorString2,
        PropertyTag::VendorString3,
        PropertyTag::VendorString4,
    ];
    let letters = |tags: &[PropertyTag]| -> String {
        let words = properties.iter().filter(|(tag, _)| tags.contains(tag));
        let bytes = words.flat_map(|(_, word)| word.to_be_bytes());
        bytes.filter(|byte| byte.is_ascii_graphic() || *byte == b' ').map(char::from).collect()
    };
    let (maker, model) = (letters(&[PropertyTag::Manufacturer]), letters(&model));
    format!("{} {}", maker.trim(), model.trim()).trim().to_owned()
}
